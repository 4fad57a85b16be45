"""Write registry/suites/tasks_atari.toml from the installed ALE (``python tools/atari_table.py``).

Run it after a change of ale-py's version; the tests compare the table with the emulator.
"""

from __future__ import annotations

import json
from pathlib import Path

from composer.environments.suites.task_tables import FORMAT

COLUMNS = ("minimal_actions",)
HEADER = f"""\
# Every game of ALE for one player. Written by tools/atari_table.py; a test compares it with the installed ale-py.
# Actions of the game's minimal set; the full one has 18.
suite = {FORMAT}
columns = {json.dumps(COLUMNS)}

[tasks]
"""


def rows() -> dict[str, tuple[int]]:
    """For every game its ``COLUMNS``, asked of the emulator."""
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator, found = ALEInterface(), {}
    for name in roms.get_all_rom_ids():
        path = roms.get_rom_path(name)
        # Files of games for several players are there, too; loading one would end this process.
        if path is not None and ALEInterface.isSupportedROM(path):
            emulator.loadROM(path)
            found[name] = (len(emulator.getMinimalActionSet()),)
    return found


def table() -> str:
    """The file's text."""
    lines = [f"{name} = [{', '.join(map(str, row))}]" for name, row in sorted(rows().items())]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = Path(__file__).resolve().parent.parent / "registry" / "suites" / "tasks_atari.toml"
    path.write_text(table(), encoding="utf-8")
    print(path)
