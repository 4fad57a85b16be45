"""The progress of a run on standard error: a live line on a terminal, plain lines in a pipe or a file."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self, TextIO

from composer.spec.interval import UNBOUNDED, Bounds, mean_text

if TYPE_CHECKING:
    from rich.progress import Progress

LIVE_SECONDS: Final = 0.25
PLAIN_SECONDS: Final = 30.0


class Console:
    """Shows the progress of one run towards ``total_env_steps``; shows nothing unless ``enabled``.

    A resumed run begins at ``start_env_step``: speed and remaining time are those of this process.
    """

    def __init__(
        self,
        total_env_steps: int,
        enabled: bool = True,
        *,
        start_env_step: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total_env_steps
        self._enabled = enabled
        self._stream = stream or sys.stderr
        self._clock = clock
        self._live = _progress(self._stream) if enabled and self._stream.isatty() else None
        self._every = LIVE_SECONDS if self._live else PLAIN_SECONDS
        self._start = self._env_step = start_env_step
        self._began = self._marked = clock()
        self._due = self._began + self._every
        self._updates: int | None = None
        self._speed = math.nan
        self._return = ""

    def update(self, env_step: int, updates: int) -> None:
        """Report progress in environment steps and gradient updates. Cheap enough for every interaction."""
        now = self._clock()
        if now < self._due or not self._enabled:
            return
        if self._updates is not None and now > self._marked:
            self._speed = (updates - self._updates) / (now - self._marked)
        self._env_step, self._updates, self._marked, self._due = env_step, updates, now, now + self._every
        self._show()

    def evaluation(
        self, env_step: int, returns_by_seed: Mapping[int, float], title: str = "", bounds: Bounds = UNBOUNDED
    ) -> None:
        """Show an evaluation: mean over seeds with its interval, or the values of two seeds.

        ``title`` names the run where several train in one program; ``bounds`` are the lowest and the highest value.
        """
        if not self._enabled:
            return
        self._env_step = env_step
        self._return = f"{title} return {mean_text(list(returns_by_seed.values()), bounds)}".strip()
        self._show()

    def note(self, text: str) -> None:
        """Print a line, above the live one if there is one."""
        if self._enabled:
            self._line(text)

    def close(self) -> None:
        """Restore the terminal. A second call does nothing."""
        if self._live:
            self._show()
            self._live.stop()
            self._live = None
        self._enabled = False

    def __enter__(self) -> Self:
        if self._live:
            self._live.add_task("", total=self._total, completed=self._start, status="")
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _show(self) -> None:
        if not self._live:
            self._line(self._status())
            return
        with self._leaving_silently():
            for task in self._live.task_ids:
                self._live.update(task, completed=self._env_step, status=self._status())
            self._live.refresh()

    def _line(self, text: str) -> None:
        with self._leaving_silently():
            if self._live:
                self._live.console.print(text, markup=False, highlight=False)
            else:
                print(text, file=self._stream, flush=True)

    @contextmanager
    def _leaving_silently(self) -> Iterator[None]:
        """Show nothing more once the terminal or the reader of a pipe is gone: the run goes on, or saves itself."""
        try:
            yield
        except OSError:
            self._enabled, self._live = False, None

    def _status(self) -> str:
        done = f"{self._env_step:,}/{self._total:,} steps ({self._env_step / self._total:.1%})"
        speed = "" if math.isnan(self._speed) else f"{self._speed:,.0f} updates/s"
        return "  ".join(part for part in (done, self._return, speed, self._left()) if part)

    def _left(self) -> str:
        done, seconds = self._env_step - self._start, self._clock() - self._began
        if done <= 0 or seconds <= 0:
            return ""
        left = round((self._total - self._env_step) * seconds / done)
        hours, minutes = left // 3600, left // 60 % 60
        return f"{hours}:{minutes:02}:{left % 60:02} left" if hours else f"{minutes}:{left % 60:02} left"


def _progress(stream: TextIO) -> Progress:
    from rich.console import Console as Terminal
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=24), TextColumn("{task.fields[status]}", markup=False))
    # Refreshed by hand, so that rich starts no thread.
    return Progress(*columns, console=Terminal(file=stream), auto_refresh=False, transient=False)
