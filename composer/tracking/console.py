"""The progress of a run on standard error: live lines on a terminal, plain lines in a pipe or a file.

Tests: tests/tracking/test_console.py.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self, TextIO

from composer.spec.interval import mean_text, value_text
from composer.spec.metrics import Metric
from composer.spec.stages import is_live
from composer.tracking.console_text import duration, fitting, history_text, left_text, seeds_text
from composer.tracking.firing_lines import FiringLines

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

LIVE_SECONDS: Final = 0.25
PLAIN_SECONDS: Final = 30.0
Best = tuple[int, float]
"""Environment step and mean over seeds of the best evaluation."""
_RETURN: Final = Metric("evaluation/return", "")


class Evaluations:
    """The evaluations of one run as lines: the last, the best, and how they went."""

    def __init__(self) -> None:
        """None yet."""
        self._metric, self._step = _RETURN, 0
        self._last: Mapping[int, float] = {}
        self._best: Best | None = None
        self._means: list[float] = []

    def add(self, env_step: int, values: Mapping[int, float], metric: Metric, best: Best | None) -> None:
        """One more, by seed."""
        self._metric, self._step, self._last, self._best = metric, env_step, values, best
        self._means.append(math.fsum(values.values()) / len(values) if values else math.nan)

    def short(self) -> str:
        """``return 75.0``; empty before the first."""
        return f"{self._metric.word} {self._value(self._means[-1])}" if self._means else ""

    def full(self) -> str:
        """``return 75.0 (50.0, 100.0)``, with the interval of three seeds or more, and the values of all seeds."""
        bounds = (self._metric.low, self._metric.high)
        text = f"{self._metric.word} {mean_text([*self._last.values()], bounds, self._metric.unit)}"
        return text + seeds_text(self._last, lambda value: value_text(value, self._metric.unit, self._means[-1]))

    def best(self) -> str:
        """``best 80.0 at step 1,000``; empty where that is the last one."""
        if self._best is None or self._best[0] == self._step:
            return ""
        step, value = self._best
        return f"best {self._value(value)} at step {step:,}"

    def live(self) -> list[str]:
        """What a terminal shows of them, the most important part first."""
        parts = [self.full(), f"at step {self._step:,}", self.best(), history_text(self._means)]
        return [part for part in parts if part] if self._means else []

    def _value(self, value: float) -> str:
        return value_text(value, self._metric.unit)


class Console:
    """Shows the progress of one run towards ``total_env_steps``; shows nothing unless ``enabled``.

    A resumed run begins at ``start_env_step``.
    """

    def __init__(
        self,
        total_env_steps: int,
        enabled: bool = True,
        *,
        start_env_step: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._total = total_env_steps
        self._enabled = enabled
        self._stream = stream or sys.stderr
        self._clock, self._wall = clock, wall
        self._live = _live(self._stream) if enabled and is_live(self._stream) else None
        self._every = LIVE_SECONDS if self._live else PLAIN_SECONDS
        self._env_step = start_env_step
        self._marked = clock()
        self._due = self._marked + self._every
        self._counts: tuple[int, int] | None = None
        self._speeds = (math.nan, math.nan)
        self._evaluations: dict[str, Evaluations] = {}
        self._firings = FiringLines(clock)
        self._activity = ""
        self.left: Callable[[], float] = lambda: math.nan
        """Seconds until the end; NaN where they are not known."""
        self.warmup = 0
        """Environment steps with random actions, before the first update."""

    def update(self, env_step: int, updates: int) -> None:
        """Report progress in environment steps and gradient updates. Cheap enough for every interaction."""
        now = self._clock()
        if now < self._due or not self._enabled:
            return
        if self._counts is not None and now > self._marked:
            steps, before = self._counts
            self._speeds = (env_step - steps) / (now - self._marked), (updates - before) / (now - self._marked)
        self._env_step, self._counts, self._marked, self._due = env_step, (env_step, updates), now, now + self._every
        self._tell_firings()
        self._show()

    def evaluation(
        self,
        env_step: int,
        values_by_seed: Mapping[int, float],
        title: str = "",
        metric: Metric = _RETURN,
        best: Best | None = None,
    ) -> None:
        """Show an evaluation: mean over seeds with its interval, the values of seeds, and the best so far.

        ``title`` names the run where several train in one program; ``metric`` says what the values are; ``best`` is
        the environment step and the mean of the best evaluation of the run.
        """
        evaluations = self._evaluations.setdefault(title, Evaluations())
        evaluations.add(env_step, values_by_seed, metric, best)
        self._env_step = max(self._env_step, env_step)
        if not self._enabled:
            return
        self._tell_firings()
        if self._live:
            self._show()
        elif env_step < self._total:  # ``result`` tells the last one.
            done = f"{env_step:,}/{self._total:,} steps ({env_step / self._total:.1%})"
            self._line("  ".join(filter(None, (done, title, evaluations.full(), evaluations.best(), self._left()))))

    def result(
        self, values_by_seed: Mapping[int, float], title: str, metric: Metric, best: Best | None, seconds: float
    ) -> None:
        """Tell how a run ended: its last evaluation, which was shown if it was made here, and the best."""
        if not self._enabled:
            return
        if title not in self._evaluations:
            self.evaluation(self._total, values_by_seed, title, metric, best)
        self._tell_firings(is_last=True)
        found = self._evaluations[title]
        after = f"{self._total:,} environment steps in {duration(seconds)}"
        self.note(": ".join(filter(None, (title, after, "; ".join(filter(None, (found.full(), found.best())))))))

    def fired(self, env_step: int, name: str, about: str, count: int = 1) -> None:
        """Tell that an intervention has fired ``count`` times until ``env_step``; many firings are summed up.

        ``about`` names the networks that it changed, or the run, for people.
        """
        if self._enabled and (text := self._firings.add(env_step, name, about, count)):
            self._line(text)

    def note(self, text: str) -> None:
        """Print a line, above the live ones if there are any."""
        if self._enabled:
            self._line(text)

    @contextmanager
    def during(self, activity: str) -> Iterator[None]:
        """Say what the run does inside, which may take long, and for how long it did."""
        if not self._enabled:
            yield
            return
        began, self._activity = self._clock(), activity
        if self._live:
            self._show()
        else:
            self._line(activity)
        try:
            yield
        finally:
            self._activity, seconds = "", self._clock() - began
        if seconds >= 1:
            self._line(f"{activity} took {duration(seconds)}")

    def close(self, is_finished: bool = False) -> None:
        """Restore the terminal; where the run is not finished, the last state of its progress stays there.

        A second call does nothing.
        """
        if self._live:
            self._live.stop()
            self._live = None
            if not is_finished:
                self._line(self._progress(""))
        self._enabled = False

    def __enter__(self) -> Self:
        if self._live:
            with self._leaving_silently():
                self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(kind is None and self._env_step >= self._total)

    def _tell_firings(self, is_last: bool = False) -> None:
        for text in self._firings.due(is_last):
            self._line(text)

    def _show(self) -> None:
        if not self._live:
            self._line(self._progress(self._left()))
            return
        with self._leaving_silently():
            self._live.update(self._drawn(self._live.console.width), refresh=True)

    def _line(self, text: str) -> None:
        with self._leaving_silently():
            if self._live:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=self._stream, flush=True)

    @contextmanager
    def _leaving_silently(self) -> Iterator[None]:
        """Show nothing more once the terminal or the reader of a pipe is gone: the run goes on, or saves itself."""
        try:
            yield
        except OSError:
            self._enabled, self._live = False, None

    def _progress(self, left: str) -> str:
        """One line: steps, the last evaluation in short, speed, and what is left."""
        shorts = [each.short() if len(self._evaluations) == 1 else "" for each in self._evaluations.values()]
        return "  ".join(filter(None, (self._done(), *shorts, *self._speed(), left)))

    def _done(self) -> str:
        share = f"{self._env_step / self._total:.1%}"
        if self._env_step < self.warmup:
            return f"{self._env_step:,}/{self._total:,} steps ({share}), warm-up until step {self.warmup:,}"
        return f"{self._env_step:,}/{self._total:,} steps ({share})"

    def _speed(self) -> list[str]:
        names = ("steps/s", "updates/s")
        return [f"{speed:,.0f} {name}" for speed, name in zip(self._speeds, names, strict=True) if speed > 0]

    def _left(self) -> str:
        return left_text(self.left(), self._wall())

    def _drawn(self, width: int) -> Group:
        """The live lines: a bar with the progress, and a line on the last evaluation of each run."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar_width = min(24, width // 5)
        parts = [self._done(), self._activity or self._left(), *reversed(self._speed())]
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(self._total, min(self._env_step, self._total), width=bar_width)
        row.add_row(bar, Text(fitting(parts, width - bar_width - 2), no_wrap=True))
        lines = [
            Text(fitting([f"{title} {live[0]}".strip(), *live[1:]], width - 1), no_wrap=True, overflow="ellipsis")
            for title, each in self._evaluations.items()
            if (live := each.live())
        ]
        return Group(row, *lines)


def _live(stream: TextIO) -> Live:
    from rich.console import Console as Terminal
    from rich.live import Live

    # Refreshed by hand, so that rich starts no thread.
    return Live(console=Terminal(file=stream), auto_refresh=False, transient=True)
