"""The memory that updates draw from: a ring, and how likely each of its transitions is to be drawn.

Legend: S seeds, B batch. Tests: tests/experience/test_memory.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.collectors.base import Drawn
from composer.experience.priorities import Priorities, importance
from composer.sampling import Prioritised

if TYPE_CHECKING:
    from composer.experience.ring import Ring
    from composer.learner import Learner
    from composer.sampling import Sampling


class Memory:
    """What an update learns from: transitions, and what its program asks for beside them."""

    def __init__(self, ring: Ring, sampling: Sampling, future: int, learner: Learner) -> None:
        """``future`` transitions after each drawn one come along."""
        self.ring, self._learner, self._future = ring, learner, future
        self._priorities: Priorities | None = None
        if isinstance(sampling, Prioritised):
            self._priorities = Priorities(len(learner.seeds), ring.capacity, sampling.exponent, learner.device)
            self._correction = sampling.correction.build(len(learner.seeds), learner.device)
        self._picks = torch.zeros(0)

    def add(self, *transition: Tensor) -> None:
        """A transition of every environment, as ``Ring.add`` takes it."""
        before, ring = self.ring.added, self.ring
        ring.add(*transition)
        if self._priorities is not None:
            arrived = torch.arange(before, ring.added, device=self._learner.device)
            self._priorities.enter(arrived % ring.capacity)
            if ring.stale and ring.added >= ring.capacity:
                gone = torch.arange(ring.added, ring.added + ring.stale, device=self._learner.device)
                self._priorities.leave(gone % ring.capacity)

    def draw(self) -> Drawn:
        """A batch for the update that comes next."""
        learner, ring = self._learner, self.ring
        extra: dict[str, Tensor] = {}
        if self._priorities is None:
            self._picks = ring.picks(learner.batch_size, learner.replay_generators)
        else:
            self._picks, likely = self._priorities.draw(learner.batch_size, learner.replay_generators)
            extra["weight"] = importance(likely, ring.size, self._correction(learner.updates))
        if self._future:
            extra |= ring.future(self._picks, self._future)
        if "weight" in learner.program.extras and self._priorities is None:
            extra["weight"] = torch.ones(self._picks.shape, device=learner.device)
        return Drawn(ring.windows(self._picks, learner.n_step, learner.discount, learner.lengths), extra)

    def learned(self) -> None:
        """Take in what the update found out about the batch drawn last."""
        if self._priorities is not None:
            self._priorities.report(self._picks, self._learner.feedback["priority"])

    def tensors(self) -> dict[str, Tensor]:
        """State beside the ring's rows."""
        return self.ring.tensors() | ({} if self._priorities is None else self._priorities.tensors())

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Put it back, after the rows."""
        self.ring.load(saved)
        if self._priorities is not None:
            self._priorities.load(saved)
