"""How far the runs of a study are, read from their journals while they train, and when all will be done.

Tests: tests/studies/execution/test_display.py.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from composer.spec.metrics import Metric
from composer.tracking.journal import Reader
from composer.tracking.records import JOURNAL, TIMING

RETURN = Metric("evaluation/return", "")
STATES = ("finished", "running", "elsewhere", "interrupted", "waiting", "diverged", "failed")


@dataclass(frozen=True)
class Status:
    """One run of a study, as it is now."""

    name: str
    state: str
    """``waiting``, ``running``, ``elsewhere`` (another process trains it), ``finished``, ``failed`` or ``diverged``."""
    env_steps: int
    """Its length in environment steps."""
    done: int = 0
    """Environment steps done."""
    values: Sequence[float] = ()
    """The last evaluation by seed; empty before the first."""
    seconds_left: float = math.nan
    directory: Path | None = None
    message: str = ""
    seeds: int = 1
    metric: Metric = RETURN
    """Of evaluations."""

    @property
    def last_return(self) -> float:
        """The last evaluation, as a mean over seeds; NaN before the first."""
        return statistics.fmean(self.values) if self.values else math.nan


class Progress:
    """Follows the journal of one run; each call reads only what was written since the last."""

    def __init__(self, run: Path, metric: str) -> None:
        """Follow the run directory ``run`` from now on; ``metric`` is that of its evaluations."""
        self._reader, self._metric = Reader(run / JOURNAL), metric
        self._timing, self._ends = Reader(run / TIMING), math.nan
        self._returns: dict[int, dict[int, float]] = {}
        self.done = 0
        """Environment steps of the last row."""

    def read(self) -> None:
        """Read the rows that are new."""
        if self._was_cut() or "torn" not in (self._reader.problem or "torn"):
            self._reader = Reader(self._reader.path)
        for row in self._reader:
            self.done = row.get("env_step", self.done)
            if row["type"] == "metrics" and self._metric in row["metrics"]:
                self._returns = {step: each for step, each in self._returns.items() if step == row["env_step"]}
                self._returns.setdefault(row["env_step"], {})[row["seed"]] = row["metrics"][self._metric]

    def read_times(self) -> None:
        """Read the run's own forecast of its end, as it was written last."""
        for row in self._timing:
            if "seconds_left" in row:
                self._ends = row["time"] + row["seconds_left"]

    def seconds_left(self, now: float) -> float:
        """Seconds until the end by that forecast; NaN without one. ``now`` is the time of the machine."""
        return max(self._ends - now, 0.0)

    @property
    def values(self) -> list[float]:
        """The newest evaluation, of the seeds that have it; empty before the first."""
        return [*next(iter(self._returns.values())).values()] if self._returns else []

    @property
    def last_return(self) -> float:
        """The mean of these; NaN before the first."""
        return statistics.fmean(self.values) if self._returns else math.nan

    def _was_cut(self) -> bool:
        """Whether a resumed run has cut its journal back to its checkpoint, and not gone on far."""
        try:
            return self._reader.path.stat().st_size < self._reader.offset
        except OSError:
            return False


@dataclass(frozen=True)
class Overview:
    """All runs of a study, as they are now."""

    runs: Sequence[Status]
    pace: Sequence[tuple[int, float]]
    """Environment steps, and the seconds that they took, of each run in this session."""
    slots: int
    """Processes at a time."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of runs by state, in the order in which they pass through them."""
        found = Counter(each.state for each in self.runs)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def seconds_left(self) -> float:
        """Seconds until all have ended; NaN where no pace is known yet.

        The work left is shared out evenly over the processes, and no run ends before its own time.
        """
        steps, seconds = sum(each for each, _ in self.pace), sum(each for _, each in self.pace)
        if not steps:
            return math.nan
        left = [
            each.seconds_left if math.isfinite(each.seconds_left) else (each.env_steps - each.done) * seconds / steps
            for each in self.runs
            if each.state in ("waiting", "running", "elsewhere")
        ]
        return max([*left, sum(left) / max(self.slots, 1)], default=0.0)
