"""For which seeds triggers fire, and what those remember that wait for metrics: tests/interventions/test_combined.py.

Legend: S seeds, L conditions on metrics, W numbers about past readings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from composer.interventions.clocks import ClockName, Lengths
from composer.interventions.triggers import Condition, Trigger


class Triggers:
    """The triggers of a run's interventions, by name of the intervention."""

    def __init__(self, triggers: Mapping[str, Trigger], lengths: Lengths, seeds: int) -> None:
        """In a run of these lengths with so many seeds."""
        self._lengths = lengths
        self._leaves = {name: [leaf.trigger for leaf in when.leaves()] for name, when in triggers.items()}
        self._waiting = {name: Waiting(when, seeds) for name, when in triggers.items() if when.condition()}

    def due(self, name: str, clock: ClockName, before: int, now: int) -> list[bool]:
        """Of each trigger within one, whether a moment is in ``(before, now]`` of the clock; empty where none is."""
        leaves = self._leaves[name]
        found = [each.clock == clock and each.is_due(before, now, self._lengths) for each in leaves]
        return found if True in found else []

    def read(self, seed: int, metrics: Mapping[str, float]) -> Iterator[str]:
        """Read a row of metrics of one seed; the interventions that watch one of them."""
        yield from (name for name, waiting in self._waiting.items() if waiting.read(seed, metrics))

    def met(
        self, name: str, seeds: Tensor, fired: Tensor, now: Mapping[ClockName, int], due: Sequence[bool] = ()
    ) -> Tensor | None:
        """The seeds of a mask that fire, which then begin anew; None where a trigger that is read allows none.

        ``fired`` are firings until now, ``[S]``; ``now`` the clocks that are known; ``due`` is as ``due`` gives it.
        """
        waiting = self._waiting.get(name)
        if waiting is None:
            return seeds
        clock, count = now.get(waiting.when.clock), len(seeds)
        met = [bool(seeds[seed]) and waiting.is_met(seed, int(fired[seed]), clock, due) for seed in range(count)]
        if True not in met:
            return None
        waiting.begin_anew(torch.tensor(met), clock)
        return torch.tensor(met)

    def tensors(self) -> Iterator[tuple[str, str, Tensor]]:
        """The state: name of an intervention, name of the tensor, the tensor itself."""
        for name, waiting in self._waiting.items():
            yield from ((name, key, value) for key, value in waiting.tensors())


class Waiting:
    """The readings of the metrics that a trigger watches, as far as it needs them, and its last firing."""

    def __init__(self, when: Trigger, seeds: int) -> None:
        """Nothing has been read of ``seeds`` seeds."""
        self.when = when
        self._leaves = [leaf.condition for leaf in when.leaves()]
        self._conditions = [each for each in self._leaves if each is not None]
        count, numbers = len(self._conditions), sum(each.remembered for each in self._conditions)
        self._streak = torch.zeros(count + 1, seeds, dtype=torch.int64)
        """Per condition, readings in a row that are as it demands; last, the clock at the last firing."""
        self._readings = torch.zeros(count, seeds, dtype=torch.int64)
        """Readings of each condition since the last firing."""
        self._past = torch.zeros(seeds, numbers, dtype=torch.float64)
        """Past readings, condition by condition, each from its oldest."""

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The state by name, not copied; one condition that compares with a number needs no more than its streak."""
        yield "streak", self._streak
        if self._past.shape[1] or len(self._leaves) > 1:
            yield "readings", self._readings
        if self._past.shape[1]:
            yield "past", self._past

    def read(self, seed: int, metrics: Mapping[str, float]) -> bool:
        """Read a row of metrics of one seed; whether a metric of the trigger is in it."""
        begin, found = 0, False
        for index, each in enumerate(self._conditions):
            place = self._past[seed, begin : begin + each.remembered]
            begin += each.remembered
            if each.metric in metrics:
                found = True
                self._read(index, seed, each, place, metrics[each.metric])
        return found

    def _read(self, index: int, seed: int, each: Condition, place: Tensor, value: float) -> None:
        streak, readings = int(self._streak[index, seed]), int(self._readings[index, seed])
        past = place[:readings].tolist()
        if each.remembered and not math.isfinite(value):
            self._streak[index, seed] = 0
            return
        self._streak[index, seed] = each.streak_after(streak, value, past)
        self._readings[index, seed] += 1
        kept = each.remember(past, value)
        place[: len(kept)] = torch.tensor(kept, dtype=torch.float64)

    def is_met(self, seed: int, fired: int, clock: int | None, due: Sequence[bool] = ()) -> bool:
        """Whether the trigger fires now for a seed, after ``fired`` firings; ``clock`` is that of its cooldown.

        ``due`` says of each leaf whether a planned moment of it is now; none where a row of metrics has been read.
        """
        truths = self._truths(seed, due or [False] * len(self._leaves))
        since = 0 if clock is None else clock - int(self._streak[-1, seed])
        return bool(self.when.holds(truths)) and self.when.may_fire(fired, since)

    def _truths(self, seed: int, due: Sequence[bool]) -> Iterator[bool | None]:
        index = 0
        for each, is_now in zip(self._leaves, due, strict=True):
            if each is None:
                yield is_now
                continue
            known = int(self._readings[index, seed]) >= each.needed or (len(self._leaves) == 1 and not each.remembered)
            yield int(self._streak[index, seed]) >= each.patience if known else None
            index += 1

    def begin_anew(self, seeds: Tensor, clock: int | None) -> None:
        """Forget the readings of the seeds of a mask, which fire when their clock reads ``clock``."""
        self._streak[:-1, seeds], self._readings[:, seeds], self._past[seeds] = 0, 0, 0.0
        if clock is not None:
            self._streak[-1, seeds] = clock
