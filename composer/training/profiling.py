"""Where the time of a run goes, stage by stage: ``composer train --profile``.

Functions that are a stage are marked with ``timed``; their calls are counted while a ``Profile`` is active, and cost
nothing else. A stage counts its own time only: of an evaluation, not the time in which its policy acts. On a GPU each
stage waits for its kernels, which slows a profiled run down; its numbers stay the same.
Tests: tests/training/test_profiling.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")
_active: Profile | None = None


def timed(stage: str, first: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a stage of a profile; its first call of all counts as the stage ``first``, if given."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if _active is None:
                return function(*args, **kwargs)
            with _active.stage(stage, first):
                return function(*args, **kwargs)

        return call

    return mark


class Profile:
    """Seconds and calls by stage since it was made."""

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        """``device`` is that of the learner, whose kernels each stage waits for."""
        self._device, self._clock = device, clock
        self._began = clock()
        self._stages: dict[str, tuple[float, int]] = {}
        self._local = threading.local()
        """Of each thread: ``inner``, the seconds of stages inside of each stage that is open, the innermost last."""

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count the calls of timed functions inside."""
        global _active
        _active = self
        try:
            yield
        finally:
            _active = None

    @contextmanager
    def stage(self, name: str, first: str | None = None) -> Iterator[None]:
        """Count the time inside, without that of stages within, under ``name``; the first time under ``first``."""
        if first is not None and name not in self._stages and first not in self._stages:
            name = first
        inner: list[float] = self._local.__dict__.setdefault("inner", [])
        began = self._clock()
        inner.append(0.0)
        try:
            yield
        finally:
            if self._device.startswith("cuda"):
                torch.cuda.synchronize()
            whole, (seconds, calls) = self._clock() - began, self._stages.get(name, (0.0, 0))
            self._stages[name] = seconds + whole - inner.pop(), calls + 1
            if inner:
                inner[-1] += whole

    def table(self) -> dict[str, Any]:
        """Seconds, share and calls of every stage, the longest first, and the time outside of all stages."""
        whole = self._clock() - self._began
        rest = whole - sum(seconds for seconds, _ in self._stages.values())
        rows = sorted(self._stages.items(), key=lambda item: -item[1][0])
        return {
            "seconds": whole,
            "stages": [
                {"stage": name, "seconds": seconds, "share": seconds / whole, "calls": calls}
                for name, (seconds, calls) in [*rows, ("everything else", (max(rest, 0.0), 0))]
            ],
        }


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
