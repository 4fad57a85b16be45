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

from composer.studies.execution.progress import Overview, Status

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

LIVE_SECONDS: Final = 1.0
PLAIN_SECONDS: Final = 60.0
_SHOWN = ("running", "elsewhere", "failed", "diverged")
"""States whose runs have a row in the table; the rest are counted."""
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
            self._live.update(table(overview, self._terminal.height - 4), refresh=True)


@contextmanager
def watching(say: Callable[[str], None]) -> Iterator[Watch]:
    """Show a study on standard error where that is a terminal, and by ``say`` where it is not."""
    if not sys.stderr.isatty():
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


def table(overview: Overview, height: int) -> Group:
    """The rows that fit into ``height`` lines, and below them the counts of all."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    shown = sorted((each for each in overview.runs if each.state in _SHOWN), key=lambda each: _SHOWN.index(each.state))
    fits = max(height, 1)
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("run", overflow="ellipsis", no_wrap=True)
    drawn.add_column("state", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    for name in ("env steps", "return", "left"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for each in shown[:fits]:
        state = Text(each.state, style=_COLOURS[each.state])
        bar = ProgressBar(each.env_steps, each.done, width=12)
        drawn.add_row(Text(each.name), state, bar, *_numbers(each))
    hidden = len(shown) - fits
    more = f"and {hidden} more; " if hidden > 0 else ""
    return Group(*([drawn] if shown else []), Text(more + summary(overview)))


def _numbers(each: Status) -> Sequence[str]:
    value = f"{each.last_return:.4g}" if math.isfinite(each.last_return) else ""
    left = duration(each.seconds_left) if math.isfinite(each.seconds_left) else ""
    return f"{each.done:,} of {each.env_steps:,}", value, left
