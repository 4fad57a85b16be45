"""Where the time of a run goes, stage by stage: ``composer train --profile``.

Methods of a run's parts are wrapped where they are called from; the loop knows nothing of it, and numbers stay the
same. A stage counts what it does itself: of acting inside an evaluation, the evaluation has none. On a GPU the end of a
stage waits for its kernels, so that their time is its own; a profiled run is slower for it.
Tests: tests/training/test_profiling.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from composer.training.session import Session

UPDATE = "gradient updates"
FIRST = "first update (compiling)"


class Profile:
    """Seconds and calls by stage since it was made."""

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        """``device`` is where stages may leave work behind."""
        self._device, self._clock = device, clock
        self._began = clock()
        self._stages: dict[str, list[float]] = {}
        self._inner: list[float] = []

    def watch(self, owner: object, method: str, stage: str, first: str | None = None) -> None:
        """Count calls of a method under ``stage``; the very first one under ``first``, if given."""
        function = getattr(owner, method)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            name = first if first is not None and stage not in self._stages and first not in self._stages else stage
            began = self._clock()
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                if self._device.startswith("cuda"):
                    torch.cuda.synchronize()
                whole = self._clock() - began
                entry = self._stages.setdefault(name, [0.0, 0])
                entry[0] += whole - self._inner.pop()
                entry[1] += 1
                if self._inner:
                    self._inner[-1] += whole

        setattr(owner, method, timed)

    def table(self) -> dict[str, Any]:
        """Seconds, share and calls of every stage, the longest first, and what is in none of them."""
        whole = self._clock() - self._began
        stages = {name: (seconds, int(calls)) for name, (seconds, calls) in self._stages.items()}
        rest = whole - sum(seconds for seconds, _ in stages.values())
        rows = sorted(stages.items(), key=lambda item: -item[1][0])
        return {
            "seconds": whole,
            "stages": [
                {"stage": name, "seconds": seconds, "share": seconds / whole, "calls": calls}
                for name, (seconds, calls) in [*rows, ("everything else", (max(rest, 0.0), 0))]
            ],
        }


def profile(session: Session) -> Profile:
    """Watch every stage of a run that is about to be driven."""
    found = Profile(session.learner.device)
    found.watch(session.learner, "learn", UPDATE, FIRST)
    found.watch(session.learner, "act", "policy: choosing actions")
    found.watch(session.learner, "observe", "running statistics")
    found.watch(session.collector, "batch", "replay: drawing batches")
    for owner, method, stage in session.collector.timed():
        found.watch(owner, method, stage)
    found.watch(session.collector, "interact", "collecting: the rest")
    found.watch(session.surgery, "passed", "interventions")
    found.watch(session.evaluator, "returns", "evaluation, its policy not counted")
    found.watch(session.diagnostics, "read", "diagnostics")
    found.watch(session, "save", "checkpoints")
    found.watch(session, "record_speed", "logging")
    return found


def text(table: Mapping[str, Any]) -> str:
    """The table for people."""
    width = max(len(row["stage"]) for row in table["stages"])
    lines = [f"{'stage'.ljust(width)}   share  seconds     calls  ms a call"]
    for row in table["stages"]:
        each = f"{1e3 * row['seconds'] / row['calls']:9.3f}" if row["calls"] else ""
        calls = f"{row['calls']:9,}" if row["calls"] else " " * 9
        lines.append(
            f"{row['stage'].ljust(width)}  {row['share']:6.1%}  {row['seconds']:7.2f} {calls}  {each}".rstrip()
        )
    return "\n".join(lines)
