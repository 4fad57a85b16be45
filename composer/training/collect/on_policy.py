"""The rollout that updates learn from: a ring of its length, judged when it is whole, dealt out in minibatches.

Updates of a rollout are all made after its last interaction, so that between interactions, when a run may be saved,
nothing is left but the ring: a checkpoint in the middle of a rollout holds its first part.
Legend: S seeds, E environments of a seed, T interactions of a rollout, B batch.
Tests: tests/training/test_on_policy.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.losses.advantages import generalised_advantages
from composer.algorithms.on_policy import OnPolicyProgram
from composer.replay.transitions import Minibatch

if TYPE_CHECKING:
    from composer.algorithms.declared import RolloutPlan
    from composer.replay.ring import Ring
    from composer.training.learner import Learner

SMALLEST = 1e-8
"""Added to the standard deviation of advantages, as in the code of OpenAI Baselines."""


class Rollout:
    """What an update learns from: a minibatch of the last T interactions, each transition once an epoch."""

    def __init__(self, ring: Ring, plan: RolloutPlan, copies: int, learner: Learner) -> None:
        """``ring`` holds a rollout at least, of ``copies`` environments a seed."""
        self.ring, self._learner, self._copies = ring, learner, copies
        self._length = plan.interactions * copies
        self._minibatches, self._updates = plan.minibatches, plan.epochs * plan.minibatches
        self._trace, self._normalised = plan.gae_lambda, plan.normalize_advantages
        assert isinstance(learner.program, OnPolicyProgram)
        self._program: OnPolicyProgram = learner.program
        self.can_prefetch = True
        """The whole rollout is judged before its first update."""
        self._drawn = 0
        self._judged: dict[str, Tensor] = {}
        self._order = torch.zeros(0)

    def add(self, *transition: Tensor) -> None:
        """A transition of every environment, as ``Ring.add`` takes it."""
        self.ring.add(*transition)

    def draw(self) -> Minibatch:
        """The minibatch for the update that comes next."""
        number = self._drawn % self._minibatches
        if self._drawn == 0:
            self._judged = self._judge()
        if number == 0:
            generators = self._learner.replay_generators
            drawn = [torch.randperm(self._length, generator=g, device=g.device) for g in generators]
            self._order = torch.stack(drawn).to(self._learner.device)
        batch = self._length // self._minibatches
        indices = self._order[:, number * batch : (number + 1) * batch]
        extra = {name: value.gather(1, indices) for name, value in self._judged.items()}
        if self._normalised:
            extra["advantage"] = standardised(extra["advantage"])
        self._drawn = (self._drawn + 1) % self._updates
        return Minibatch(self.ring.windows(self._slots(indices), 1, self._learner.discount), extra)

    def learned(self) -> None:
        """Nothing follows from it."""

    def tensors(self) -> dict[str, Tensor]:
        """State beside the ring's rows."""
        return self.ring.tensors()

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Put it back, after the rows."""
        self.ring.load(saved)

    @torch.no_grad()
    def _judge(self) -> dict[str, Tensor]:
        """``Program.extras`` of the whole rollout, ``[S, T * E]`` in order of arrival, by the present networks."""
        learner, program, rows = self._learner, self._program, []
        batch = self._length // self._minibatches
        # In pieces of an update's size, so that pictures fit, and ratios are 1 to the last bit of the same products.
        for number in range(self._minibatches):
            order = torch.arange(number * batch, (number + 1) * batch, device=learner.device)
            slots = self._slots(order.expand(len(learner.seeds), -1))
            seen = learner.batch(self.ring.windows(slots, 1, learner.discount))
            value, density = program.value(seen.observation), program.log_density(seen.observation, seen.action)
            following = program.value(seen.next_observation)
            rows.append(torch.stack([density, value, following, seen.reward, seen.bootstrap, self.ring.ended(slots)]))
        density, value, following, reward, bootstrap, ended = torch.cat(rows, -1)

        def timed(each: Tensor) -> Tensor:
            return each.view(len(learner.seeds), -1, self._copies)

        chain = timed(reward), timed(value), timed(following), timed(bootstrap), timed(ended)
        advantage = generalised_advantages(*chain, learner.discount * self._trace).flatten(1)
        return {"advantage": advantage, "log_density": density, "return": advantage + value, "value": value}

    def _slots(self, order: Tensor) -> Tensor:
        """Slots of the ring for places ``[S, B]`` in the rollout, 0 the oldest."""
        return (self.ring.added - self._length + order) % self.ring.capacity


def standardised(values: Tensor) -> Tensor:
    """``(x - mean) / (std + 1e-8)`` of ``[S, B]`` along B, with the population's standard deviation."""
    centred = values - values.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True).sqrt() + SMALLEST)
