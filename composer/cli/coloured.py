"""Lines of styled text on standard output: colours on a terminal, without them where NO_COLOR is set or in a pipe.

Tests: tests/cli/test_coloured.py.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Final

STYLES: Final = {"added": "green", "removed": "red", "changed": "yellow", "same": "dim"}


def columns_of_stdout(otherwise: int) -> int:
    """Columns of the terminal that standard output is, or of ``COLUMNS``; ``otherwise`` in a pipe or a file."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size((otherwise, 0)).columns
    return otherwise


def print_lines(lines: Iterable[Sequence[tuple[str, str]]]) -> None:
    """Print lines of texts with their styles, keys of ``STYLES`` or empty; never broken nor cut."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    with console.capture() as printed:
        for line in lines:
            text = Text.assemble(*((each, STYLES.get(style, "")) for each, style in line))
            text.rstrip()
            console.print(text)
    # Not by rich, which ends the program where the reader of a pipe has gone.
    print(printed.get(), end="")
