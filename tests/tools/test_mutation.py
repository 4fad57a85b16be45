"""Mutants are found, are applied to live functions, and a test suite is told to be weak where it is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from tools.mutation.mutants import mutants_of

ROOT = Path(__file__).parents[2]
SOURCE = '''
LIMIT = 3

def decorated(function):
    return function

class Box:
    size: int = 1

    @decorated
    def fits(self, size: int = 4) -> bool:
        """Text is left alone."""
        assert size > 0
        return size < self.size + 1 and not self.closed()

    def closed(self) -> bool:
        if self.size == 0:
            raise ValueError(f"{self.size + 1} is closed")
        return False
'''


def write(folder: Path) -> Path:
    path = folder / "box.py"
    path.write_text(SOURCE)
    return path


def test_mutants_are_small_changes_in_bodies_of_functions(tmp_path: Path) -> None:
    found = [(mutant.line, mutant.function, mutant.change) for mutant in mutants_of(write(tmp_path))]
    assert found == [
        (5, "decorated", "returns None"),
        (14, "Box.fits", "returns None"),
        (14, "Box.fits", "And to Or"),
        (14, "Box.fits", "Lt to LtE"),
        (14, "Box.fits", "Add to Sub"),
        (14, "Box.fits", "1 to 2"),
        (17, "Box.closed", "not (self.size == 0)"),
        (17, "Box.closed", "Eq to NotEq"),
        (17, "Box.closed", "0 to 1"),
        (18, "Box.closed", "without the raise"),
        (19, "Box.closed", "returns None"),
        (19, "Box.closed", "False to True"),
    ]


def test_a_mutant_changes_live_functions_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    spec = importlib.util.spec_from_file_location("box_of_mutants", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    box = module.Box()
    assert (box.fits(1), box.fits(2)) == (True, False)
    (mutant,) = [mutant for mutant in mutants_of(path) if mutant.change == "Lt to LtE"]
    assert mutant.apply()
    assert (box.fits(1), box.fits(2), box.fits(3)) == (True, True, False)


def test_a_weak_test_lets_mutants_live(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "test_box.py").write_text(
        "from box import Box\n\ndef test_fits():\n    assert Box().fits(1)\n\n"
        "def test_closed():\n    assert not Box().closed()\n"
    )
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tools.mutation import __main__ as tool\n"
        "tool.GROUPS['box'] = (('box.py',), ('test_box.py',))\n"
        "sys.exit(tool.main(['box']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=3_600, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert '"tried": 12' in done.stdout
    survivors = done.stdout[done.stdout.index('"survivors"') :]
    assert "Lt to LtE" in survivors and "without the raise" in survivors and "Eq to NotEq" not in survivors
