"""The memory that updates draw from: a ring, and how likely each of its transitions is to be drawn.

Everything up to the finished batch is done where the ring's rows lie. Where that is the host, and updates run on a GPU,
uniform draws never wait for it (but while discounts or lengths of windows follow schedules: those are its numbers). The
sums of prioritised sampling lie on the host too, and take one transfer from the GPU, and one wait for it, an update.
Legend: S seeds, B batch. Tests: tests/replay/test_sending.py, tests/training/test_loop.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.optim.hyperparameters import Hyperparameters
from composer.replay.priorities import Priorities, importance
from composer.replay.sampling import Prioritised
from composer.replay.transitions import Minibatch, Transitions

if TYPE_CHECKING:
    from composer.replay.ring import Ring
    from composer.replay.sampling import Sampling
    from composer.training.learner import Learner


class ReplayMemory:
    """What an update learns from: transitions, and what its program asks for beside them."""

    def __init__(self, ring: Ring, sampling: Sampling, future: int, learner: Learner) -> None:
        """``future`` transitions after each drawn one come along."""
        self.ring, self._learner, self._future = ring, learner, future
        learner.draw_on(ring.device)
        self._priorities: Priorities | None = None
        if isinstance(sampling, Prioritised):
            self._priorities = Priorities(len(learner.seeds), ring.capacity, sampling.exponent, ring.device)
            self._correction = sampling.correction.build(Hyperparameters(len(learner.seeds), learner.device))
        self._picks = torch.zeros(0)
        self._discount = learner.discount.to(ring.device)
        self.can_prefetch = self._priorities is None
        """Whether no draw follows from what updates find out."""

    def add(self, *transition: Tensor) -> None:
        """A transition of every environment, as ``Ring.add`` takes it."""
        before, ring = self.ring.added, self.ring
        ring.add(*transition)
        if self._priorities is not None:
            arrived = torch.arange(before, ring.added, device=ring.device)
            self._priorities.enter(arrived % ring.capacity)
            if ring.stale and ring.added >= ring.capacity:
                gone = torch.arange(ring.added, ring.added + ring.stale, device=ring.device)
                self._priorities.leave(gone % ring.capacity)

    def draw(self) -> Minibatch:
        """A batch for the update that comes next."""
        learner, ring = self._learner, self.ring
        likely: list[Tensor] = []
        if self._priorities is None:
            self._picks = ring.indices(learner.batch_size, learner.replay_generators)
        else:
            self._picks, shares = self._priorities.draw(learner.batch_size, learner.replay_generators)
            likely = [shares]
        future = ring.future(self._picks, self._future) if self._future else {}
        discount = learner.discount if learner.horizon.changes else self._discount
        drawn = ring.windows(self._picks, learner.n_step, discount, learner.horizon.lengths)
        sent = iter(ring.sent([*drawn, *future.values(), *likely]))
        transitions = Transitions(*islice(sent, len(drawn)))
        extra = dict(zip(future, islice(sent, len(future)), strict=True))
        if self._priorities is not None:
            extra["weight"] = importance(next(sent), ring.size, self._correction(learner.updates))
        elif "weight" in learner.program.extras:
            extra["weight"] = torch.ones(self._picks.shape, device=learner.device)
        return Minibatch(transitions, extra)

    def learned(self) -> None:
        """Take in what the update found out about the batch drawn last."""
        if self._priorities is not None:
            self._priorities.report(self._picks, self._learner.priorities["priority"].to(self.ring.device))

    def tensors(self) -> dict[str, Tensor]:
        """State beside the ring's rows."""
        return self.ring.tensors() | ({} if self._priorities is None else self._priorities.tensors())

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Put it back, after the rows."""
        self.ring.load(saved)
        if self._priorities is not None:
            self._priorities.load(saved)
