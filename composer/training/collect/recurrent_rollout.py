"""The rollout of networks with a memory: minibatches of whole sequences, each with the memory before it.

A sequence is what one environment went through in the rollout; its gradients reach back to the beginning of the
rollout, where the memory is taken as it was. Legend: S seeds, E environments of a seed, T interactions of a rollout,
N sequences of a minibatch, m numbers of a memory. Tests: tests/training/test_recurrent.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.advantages import generalised_advantages
from composer.algorithms.on_policy import memory_name
from composer.replay.transitions import Minibatch
from composer.training.collect.on_policy import Rollout, standardised
from composer.training.profiling import timed

if TYPE_CHECKING:
    from composer.algorithms.declared import RolloutPlan
    from composer.replay.ring import Ring
    from composer.training.learner import Learner

_PRESENT, _BEFORE = "memory/present/", "memory/before/"


class RecurrentRollout(Rollout):
    """A rollout whose order is kept within each environment. Memories are part of its state."""

    def __init__(self, ring: Ring, plan: RolloutPlan, copies: int, learner: Learner) -> None:
        super().__init__(ring, plan, copies, learner)
        seeds, sizes = len(learner.seeds), self._program.memory
        self._kept["starts"] = torch.zeros(seeds, ring.capacity, device=learner.device)
        empty = {role: torch.zeros(seeds, copies, size, device=learner.device) for role, size in sizes.items()}
        self._present = empty
        """The memory before the next observation, ``[S, E, m]`` by role; of a critic, that before the rollout."""
        self._before = {role: value.clone() for role, value in empty.items()}
        """The memory before the rollout."""

    @override
    @timed("policy: choosing actions")
    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        seen = self._learner.normalised(observation)
        noise = self._learner.policy.exploration_noise(seen.shape[1])
        starts, present = self.ring.begins(), self._present
        action, recorded, memory = self._program.act_from_memory(seen, noise, starts, present)
        remembered = {_PRESENT + role: value for role, value in memory.items()}
        self.acted = {**recorded, "seen": seen.flatten(2), "starts": starts.float(), **remembered}
        return action

    @override
    def add(self, *transition: Tensor) -> None:
        if self.ring.added % self.ring.capacity == 0:
            for role, value in self._before.items():
                value.copy_(self._present[role])
        super().add(*transition)
        for role, value in self._present.items():
            if (after := self.acted.get(_PRESENT + role)) is not None:
                value.copy_(after)

    @override
    def draw(self) -> Minibatch:
        number, learner = self._drawn % self._minibatches, self._learner
        if self._drawn == 0:
            self._evaluated = self._evaluate()
        if number == 0:
            drawn = [torch.randperm(self._copies, generator=g, device=g.device) for g in learner.replay_generators]
            self._order = torch.stack(drawn).to(learner.device)
        each = self._copies // self._minibatches
        environments = self._order[:, number * each : (number + 1) * each]
        places = self._places(environments)
        extra = {name: value.gather(1, places) for name, value in self._evaluated.items()}
        if self._normalizes:
            extra["advantage"] = standardised(extra["advantage"])
        slots = self._slots(places)
        extra["starts"] = self._kept["starts"].gather(1, slots)
        extra |= {memory_name(role): self._memory_of(role, environments) for role in self._before}
        self._drawn = (self._drawn + 1) % self._updates
        return Minibatch(self._transitions(slots), extra)

    @override
    @torch.no_grad()
    def _evaluate(self) -> dict[str, Tensor]:
        """In order of time and environment, as everywhere; a piece holds some environments from beginning to end."""
        learner, program, rows = self._learner, self._program, []
        seeds, each = len(learner.seeds), self._copies // self._minibatches
        critics = [role for role in self._present if role not in program.acting_roles]
        for number in range(self._minibatches):
            some = torch.arange(number * each, (number + 1) * each, device=learner.device).expand(seeds, -1)
            slots = self._slots(self._places(some))
            seen = learner.batch(self._transitions(slots), is_normalised=True)
            memories = {role: self._memory_of(role, some) for role in self._present}
            starts = self._kept["starts"].gather(1, slots).view(seeds, each, -1) > 0

            def in_time(value: Tensor, starts: Tensor = starts) -> Tensor:
                return value.view(*starts.shape, *value.shape[2:])

            value, after = program.values_in_order(in_time(seen.observation), starts, memories)
            following, _ = self._following(in_time(seen.next_observation), after)
            for role in critics:
                self._present[role][:, number * each : (number + 1) * each] = after[role][:, :, -1]
            recorded = [in_time(self._kept[name].gather(1, slots)) for name in program.recorded]
            ended = in_time(self.ring.ended(slots))
            rows.append(
                torch.stack([value, following, in_time(seen.reward), in_time(seen.bootstrap), ended, *recorded])
            )
        value, following, reward, bootstrap, ended, *kept = torch.cat(rows, 2).transpose(2, 3)
        going = following[:, :-1]  # Within an episode the next value is that of the next moment, whose memory it has.
        going.copy_(torch.where(ended[:, :-1] > 0, going, value[:, 1:]))
        trace = learner.discount * self._trace_decay
        advantage = generalised_advantages(reward, value, following, bootstrap, ended, trace).flatten(1)
        value = value.flatten(1)
        found = {"advantage": advantage, "return": advantage + value, "value": value}
        return found | dict(zip(program.recorded, (each.flatten(1) for each in kept), strict=True))

    def _following(self, observation: Tensor, after: Mapping[str, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Values of the observations after each moment ``[S, N, T]``, each read on from its own memory."""
        flat, memories = (
            observation.flatten(1, 2)[:, :, None],
            {role: each.flatten(1, 2) for role, each in after.items()},
        )
        none = torch.zeros(flat.shape[:3], dtype=torch.bool, device=flat.device)
        value, later = self._program.values_in_order(flat, none, memories)
        return value.view(observation.shape[:3]), later

    def _places(self, environments: Tensor) -> Tensor:
        """Where the sequences of environments ``[S, N]`` stand in order of arrival, one after another: ``[S, N T]``."""
        times = torch.arange(self._length // self._copies, device=environments.device) * self._copies
        return (environments[..., None] + times).flatten(1)

    def _memory_of(self, role: str, environments: Tensor) -> Tensor:
        """The memory before the rollout, ``[S, N, m]``."""
        held = self._before[role]
        return held.gather(1, environments[..., None].expand(-1, -1, held.shape[-1]))

    @override
    def tensors(self) -> dict[str, Tensor]:
        present = {_PRESENT + role: value for role, value in self._present.items()}
        return {**super().tensors(), **present, **{_BEFORE + role: value for role, value in self._before.items()}}

    @override
    def load(self, saved: Mapping[str, Tensor]) -> None:
        super().load(saved)
        for role, value in self._present.items():
            value.copy_(saved[_PRESENT + role])
            self._before[role].copy_(saved[_BEFORE + role])
