"""Effects of interventions, measured at firings: from the journals of runs to a mean over seeds with its interval.

Tests: tests/studies/test_firing_effects.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from composer.interventions.effects import BLOCKS, BOUNDS, EFFECTS
from composer.spec.interval import LEAST, mean_interval, method
from composer.studies.compare.groups import Group


@dataclass(frozen=True)
class FiringEffect:
    """The effect of one firing of an agent's intervention on a signal of its losses."""

    agent: str
    task: str
    intervention: str
    signal: str
    env_step: int
    by_seed: Mapping[int, float]
    low: float
    """The interval of the mean over seeds; of fewer than three of the first seed alone, over parts of its horizon."""
    high: float

    @property
    def mean(self) -> float:
        """Over the seeds that fired then."""
        return math.fsum(self.by_seed.values()) / len(self.by_seed)

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0; else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0

    def phrase(self) -> str:
        """``critic/loss +0.12 (95% t interval over 5 seeds: 0.08 to 0.16)``."""
        many = len(self.by_seed)
        over = f"{many} seeds" if many >= LEAST else f"{BLOCKS} parts of the horizon of one seed"
        return f"{self.signal} {self.mean:+.3g} ({method(over)}: {self.low:.3g} to {self.high:.3g})"

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        values = {str(seed): value for seed, value in self.by_seed.items()}
        where = {"agent": self.agent, "task": self.task, "intervention": self.intervention, "signal": self.signal}
        ends = {
            name: end if math.isfinite(end) else None for name, end in zip(BOUNDS, (self.low, self.high), strict=True)
        }
        text = f"{self.agent}, {self.intervention} at step {self.env_step:,}: {self.phrase()}"
        return {**where, "env_step": self.env_step, "mean": self.mean, **ends, "by_seed": values, "text": text}


class _Place(NamedTuple):
    intervention: str
    signal: str
    env_step: int


def firing_effects(groups: Sequence[Group]) -> list[FiringEffect]:
    """All that was measured, by agent, task, intervention, signal and environment step."""
    return [effect for group in groups for effect in _of_group(group)]


def _of_group(group: Group) -> Iterator[FiringEffect]:
    found: dict[_Place, dict[int, dict[str, float]]] = {}
    for run in group.runs:
        for (name, step), by_seed in run.effects.items():
            intervention, signal, end = _parsed(name)
            for seed, value in by_seed.items():
                found.setdefault(_Place(intervention, signal, step), {}).setdefault(seed, {})[end] = value
    for place, seeds in sorted(found.items()):
        values = {seed: each[""] for seed, each in seeds.items() if "" in each}
        if not values:
            continue
        ends = mean_interval([*values.values()])
        if len(values) < LEAST:
            first = seeds[next(iter(values))]
            ends = first.get(BOUNDS[0], math.nan), first.get(BOUNDS[1], math.nan)
        yield FiringEffect(str(group.agent), group.task, *place, values, *ends)


def _parsed(metric: str) -> tuple[str, str, str]:
    """Intervention, signal and the end of the interval of a metric's name; the last is empty for the effect."""
    intervention, _, signal = metric.removeprefix(f"{EFFECTS}/").partition("/")
    head, _, last = signal.rpartition("/")
    return (intervention, head, last) if last in BOUNDS else (intervention, signal, "")
