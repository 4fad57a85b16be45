"""The process that films a finished run: ``python -m composer.training.films.process RUN SECONDS``.

It ends itself after SECONDS, also when nobody waits for it any more, and prints a line for each film.
Tests: tests/training/films/test_films.py.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

from composer.spec.errors import ComposerError
from composer.training.films.record import film

NICENESS: Final = 10


def main(arguments: list[str]) -> int:
    """Film the run directory named first; 1 where that fails, and a last line on standard error that says why."""
    signal.alarm(int(arguments[1]))
    os.nice(NICENESS)
    try:
        for name, step in film(Path(arguments[0])):
            print(f"{name} (environment step {step:,})", flush=True)
    except (ComposerError, OSError) as error:
        print(str(error).partition("\n")[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
