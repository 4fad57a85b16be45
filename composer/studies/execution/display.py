"""A study on standard error: one live table on a terminal, lines in a pipe or a file.

Tests: tests/studies/execution/test_display.py.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

from composer.spec.stages import is_live
from composer.studies.execution.progress import Overview, Status
from composer.studies.execution.results import heading, result_text

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

LIVE_SECONDS: Final = 1.0
PLAIN_SECONDS: Final = 60.0
_TRAINED, _BAD, _DONE = ("running", "elsewhere"), ("failed", "diverged"), ("finished",)
"""States whose runs have rows in the table, in this order; the rest are counted."""
_BAR: Final = 12
_MARGIN: Final = len("elsewhere") + 6 * len("  ")
"""Characters of a row beside its name, its bar and its numbers."""
_COLOURS = {"running": "cyan", "elsewhere": "blue", "failed": "bold red", "diverged": "yellow", "finished": "green"}


class Watch(Protocol):
    """Shows a study to people."""

    def event(self, text: str) -> None:
        """Something ordinary has happened to a run: a line, or nothing where a table shows it anyway."""

    def note(self, text: str) -> None:
        """Something that people should read."""

    def is_due(self) -> bool:
        """Whether it is time to show the whole again."""

    def show(self, overview: Overview) -> None:
        """Show the whole."""


class Lines:
    """A line for each event, and every minute one for the whole."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """``say`` prints a line."""
        self.event = self.note = say
        self._due = time.monotonic() + PLAIN_SECONDS

    def is_due(self) -> bool:
        """Once a minute."""
        return time.monotonic() >= self._due

    def show(self, overview: Overview) -> None:
        """One line."""
        self._due = time.monotonic() + PLAIN_SECONDS
        self.note(summary(overview))


class LiveTable:
    """A table of what runs and what failed, with the number of all others; it is gone at the end."""

    def __init__(self, terminal: Console, live: Live) -> None:
        """``live`` is started and stopped by whoever made it."""
        self._terminal, self._live = terminal, live
        self._due = 0.0

    def event(self, text: str) -> None:
        """The table shows it."""

    def note(self, text: str) -> None:
        """A line above the table."""
        with suppress(OSError):
            self._terminal.print(text, markup=False, highlight=False)

    def is_due(self) -> bool:
        """Every second."""
        return time.monotonic() >= self._due

    def show(self, overview: Overview) -> None:
        """Draw the table again."""
        self._due = time.monotonic() + LIVE_SECONDS
        with suppress(OSError):  # The terminal is gone: the study goes on, or saves itself.
            self._live.update(table(overview, self._terminal.height - 4, self._terminal.width), refresh=True)


@contextmanager
def watching(say: Callable[[str], None]) -> Iterator[Watch]:
    """Show a study on standard error where that is a terminal, and by ``say`` where it is not."""
    if not is_live(sys.stderr):
        yield Lines(say)
        return
    from rich.console import Console
    from rich.live import Live

    terminal = Console(file=sys.stderr)
    with Live(console=terminal, auto_refresh=False, transient=True) as live:
        yield LiveTable(terminal, live)


def summary(overview: Overview) -> str:
    """``12 finished, 2 running, 40 waiting of 54; about 0:12:30 left``."""
    counts = ", ".join(f"{number:,} {state}" for state, number in overview.counts.items())
    left = overview.seconds_left
    return f"{counts} of {len(overview.runs):,}" + (f"; about {duration(left)} left" if math.isfinite(left) else "")


def duration(seconds: float) -> str:
    """``1:02:03``, hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def table(overview: Overview, height: int, width: int) -> Group:
    """The rows that fit into ``height`` lines of ``width`` characters, and below them the counts of all.

    What trains comes first, then what has ended badly, for which a third of the lines is kept, then the newest results.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    running, bad, done = (
        [each for each in overview.runs if each.state in states] for states in (_TRAINED, _BAD, _DONE)
    )
    for_bad = min(len(bad), max(height // 3, height - len(running)))
    shown = [*running[: max(height - for_bad, 1)], *bad[:for_bad]]
    hidden = len(running) + len(bad) - len(shown)
    shown += done[len(done) - max(0, min(height - len(shown), len(done))) :]
    drawn = Table(box=None, pad_edge=False)
    for name in ("run", "state", ""):
        drawn.add_column(name, no_wrap=True)
    heads = ("done", "seeds", heading(each.metric.name for each in shown), "left")
    for name in heads:
        drawn.add_column(name, justify="right", no_wrap=True)
    cells = [_numbers(each) for each in shown]
    room = width - _BAR - sum(max(map(len, column), default=0) for column in zip(heads, *cells, strict=True)) - _MARGIN
    for each, numbers in zip(shown, cells, strict=True):
        bar = ProgressBar(each.env_steps, each.done, width=_BAR)
        drawn.add_row(Text(shortened(each.name, room)), Text(each.state, style=_COLOURS[each.state]), bar, *numbers)
    more = f"and {hidden} more; " if hidden > 0 else ""
    return Group(*([drawn] if shown else []), Text(more + summary(overview)))


def shortened(name: str, room: int) -> str:
    """A name in at most ``room`` characters, at least ten, without its middle where it is longer."""
    room = max(room, 10)
    tail = room // 3
    return name if len(name) <= room else f"{name[: room - tail - 1]}…{name[-tail:]}"


def _numbers(each: Status) -> Sequence[str]:
    left = duration(each.seconds_left) if math.isfinite(each.seconds_left) else ""
    return f"{each.done / each.env_steps:.0%}", str(each.seeds), result_text(each.values, each.metric), left
