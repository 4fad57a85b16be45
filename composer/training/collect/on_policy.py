"""The rollout of an on-policy algorithm: a ring of its length, evaluated when it is full, dealt out in minibatches.

All updates of a rollout come after its last interaction. Between interactions, when a run may be saved, the ring is
therefore the whole state: a checkpoint in the middle of a rollout holds its first part.
Legend: S seeds, E environments of a seed, T interactions of a rollout, B batch.
Tests: tests/training/test_on_policy.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.advantages import generalised_advantages
from composer.algorithms.on_policy import OnPolicyProgram
from composer.replay.transitions import Minibatch, Transitions
from composer.training.collect.base import TransitionMemory
from composer.training.collect.intrinsic import IntrinsicAdvantages
from composer.training.profiling import timed

if TYPE_CHECKING:
    from composer.algorithms.declared import RolloutPlan
    from composer.replay.ring import Ring
    from composer.training.learner import Learner

AT_ONCE = 2**20
"""Up to as many numbers of observations are gathered for a whole epoch, more for each minibatch."""
SMALLEST = 1e-8
"""Added to the standard deviation of advantages, as in the code of OpenAI Baselines."""


class Rollout(TransitionMemory):
    """The last T interactions; each transition is drawn once per epoch.

    Running statistics move with every interaction. Observations are therefore kept as the policy saw them, and each
    action with what the program records of it, such as the log-density under which it was drawn, as in CleanRL's code:
    ratios compare the present policy with the one that acted, and the first ones of a rollout are 1.
    """

    def __init__(self, ring: Ring, plan: RolloutPlan, copies: int, learner: Learner) -> None:
        """``ring`` has room for a rollout of ``copies`` environments per seed."""
        super().__init__(ring, learner)
        self._copies = copies
        self._length = plan.interactions * copies
        self._minibatches, self._updates = plan.minibatches, plan.epochs * plan.minibatches
        self._trace_decay, self._normalizes = plan.trace_decay, plan.normalize_advantages
        self._program = cast(OnPolicyProgram, learner.program)  # An algorithm with a rollout plan builds such a one.
        self._drawn = 0
        """Minibatches of the present rollout drawn so far."""
        shape = len(learner.seeds), ring.capacity
        self._kept = {name: torch.zeros(shape, device=learner.device) for name in self._program.recorded}
        """Tensors ``[S, capacity, ...]`` beside the rows of the ring, by name."""
        if learner.statistics is not None:
            size = learner.statistics.size
            self._kept["seen"] = torch.zeros(*shape, size, device=learner.device)
        novelty, device = self._program.novelty, learner.device
        self._intrinsic = novelty and IntrinsicAdvantages(novelty, shape[0], copies, plan.trace_decay, device)
        self._evaluated: dict[str, Tensor] = {}
        self._order = torch.zeros(0)
        self._at_once, self._gathered = 1, list[Minibatch]()
        """How many minibatches are gathered in one go, and the last ones that were."""

    @override
    @timed("policy: choosing actions")
    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        seen = self._learner.normalised(observation)
        noise = self._learner.policy.exploration_noise(seen.shape[1])
        action, recorded = self._program.act_and_record(seen, noise)
        self.acted = {**recorded, "seen": seen.flatten(2)}
        return action

    @override
    def add(self, *transition: Tensor) -> None:
        start = self.ring.added % self.ring.capacity
        for name, values in self._kept.items():
            values[:, start : start + self._copies] = self.acted[name]
        super().add(*transition)

    @override
    def draw(self) -> Minibatch:
        number = self._drawn % self._minibatches
        if self._drawn == 0:
            self._evaluated = self._evaluate()
        if number == 0:
            generators = self._learner.replay_generators
            drawn = [torch.randperm(self._length, generator=g, device=g.device) for g in generators]
            self._order = torch.stack(drawn).to(self._learner.device)
        if number % self._at_once == 0:
            batch = self._length // self._minibatches
            self._gathered = self._gather(self._order[:, number * batch : (number + self._at_once) * batch])
        self._drawn = (self._drawn + 1) % self._updates
        return self._gathered[number % self._at_once]

    def _gather(self, positions: Tensor) -> list[Minibatch]:
        """Minibatches of the transitions at the positions ``[S, N * B]`` in the rollout, in order."""

        def dealt(each: Tensor) -> Sequence[Tensor]:
            found: Sequence[Tensor] = each.unflatten(1, (self._at_once, -1)).unbind(1)
            return found

        evaluated = {name: value.gather(1, positions) for name, value in self._evaluated.items()}
        if self._normalizes:
            evaluated["advantage"] = standardised(evaluated["advantage"].unflatten(1, (self._at_once, -1))).flatten(1)
        extras = zip(*map(dealt, evaluated.values()), strict=True)
        parts = zip(*map(dealt, self._transitions(self._slots(positions))), strict=True)
        named = (dict(zip(evaluated, each, strict=True)) for each in extras)
        return [Minibatch(Transitions(*part), extra) for part, extra in zip(parts, named, strict=True)]

    @torch.no_grad()
    def _evaluate(self) -> dict[str, Tensor]:
        """``Program.extras`` of the whole rollout, ``[S, T * E]`` in order of arrival, by the present critic."""
        learner, program, intrinsic = self._learner, self._program, self._intrinsic
        batch, rows, new = self._length // self._minibatches, [], []
        for number in range(self._minibatches):  # Pieces as large as a minibatch: pictures fit.
            order = torch.arange(number * batch, (number + 1) * batch, device=learner.device)
            slots = self._slots(order.expand(len(learner.seeds), -1))
            seen = learner.batch(self._transitions(slots), is_normalised=True)
            value, following = program.value(seen.observation), program.value(seen.next_observation)
            recorded = [self._kept[name].gather(1, slots) for name in program.recorded]
            ends = self.ring.ended(slots)
            rows.append(torch.stack([value, following, seen.reward, seen.bootstrap, ends, *recorded]))
            if intrinsic:
                new.append(intrinsic.read(seen))
        is_small = self._length * seen.observation[0, 0].numel() <= AT_ONCE
        self._at_once = self._minibatches if is_small else 1
        value, following, reward, bootstrap, ended, *kept = torch.cat(rows, -1)

        def by_time(each: Tensor) -> Tensor:
            return each.view(len(learner.seeds), -1, self._copies)

        if "seen" in self._kept:  # What follows within an episode is valued as the policy saw it there.
            later = by_time(value)[:, 1:]
            going = by_time(following)[:, :-1]
            going.copy_(torch.where(by_time(ended)[:, :-1] > 0, going, later))
        chain = by_time(reward), by_time(value), by_time(following), by_time(bootstrap), by_time(ended)
        advantage = generalised_advantages(*chain, learner.discount * self._trace_decay).flatten(1)
        found = {"advantage": advantage, "return": advantage + value, "value": value}
        if intrinsic:
            more, extras = intrinsic.evaluate(torch.cat(new, -1))
            found |= {**extras, "advantage": advantage + more}
        return found | dict(zip(program.recorded, kept, strict=True))

    def _transitions(self, slots: Tensor) -> Transitions:
        """Transitions at the slots ``[S, B]``: observations as the policy saw them, final ones as it would see now."""
        drawn = self.ring.windows(slots, 1, self._learner.discount)
        if (seen := self._kept.get("seen")) is None:
            return drawn
        rows = seen.gather(1, slots[..., None].expand(-1, -1, seen.shape[-1])).view(drawn.observation.shape)
        return drawn._replace(observation=rows, next_observation=self._learner.normalised(drawn.next_observation))

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {**super().tensors(), **self._kept, **(self._intrinsic.tensors() if self._intrinsic else {})}

    @override
    def load(self, saved: Mapping[str, Tensor]) -> None:
        super().load(saved)
        for name, values in self._kept.items():
            values.copy_(saved[name])
        if self._intrinsic:
            self._intrinsic.load(saved)

    def _slots(self, order: Tensor) -> Tensor:
        """Slots of the ring for positions ``[S, B]`` in the rollout; 0 is the oldest."""
        return (self.ring.added - self._length + order) % self.ring.capacity


def standardised(values: Tensor) -> Tensor:
    """``(x - mean) / (std + 1e-8)`` of ``[S, ..., B]`` along B, with the population's standard deviation."""
    centred = values - values.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + SMALLEST)
