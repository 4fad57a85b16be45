"""Playing: how an agent chooses actions, while it explores, before it has learned anything, and when it is judged.

Legend: S seeds, E environments of a seed, a action. Tests: tests/contracts/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.base import Roles
from composer.built import stood_in
from composer.nn.policies import chosen_of
from composer.shapes import Shape
from composer.streams import derive

if TYPE_CHECKING:
    from composer.blueprint.schema import Blueprint
    from composer.environments.base import EnvironmentInfo


class Player:
    """The program as it acts: averages may act in the place of networks. Random streams are the seeds' own."""

    def __init__(self, blueprint: Blueprint, info: EnvironmentInfo, roles: Roles, device: str) -> None:
        """Over the networks of a learner."""
        self._seeds, self._device = tuple(blueprint.seeds), device
        self._actions, self._discrete = info.action_size, info.discrete
        self._explorer, self._judged = (
            blueprint.algorithm.build(stood_in(roles, acting), info, len(self._seeds), device)
            for acting in (blueprint.training.acting, blueprint.evaluation.acting)
        )
        self.explorers = [self._generator(seed, "explore") for seed in self._seeds]
        """Random streams of exploration, by seed."""
        self.judged_anew(0)

    def explore(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` for normalised observations ``[S, E, ...]``."""
        asked = self._explorer.exploration
        each = (self._actions,) if asked is None else asked
        return self._explorer.act(seen, self._normals(self.explorers, (seen.shape[1], *each)))

    def judge(self, seen: Tensor) -> Tensor:
        """The policy's mode; what an algorithm draws even then comes from the evaluation's own stream."""
        drawn = self._judged.judging
        noise = None if drawn is None else self._normals(self._judges, (seen.shape[1], *drawn))
        return self._judged.judge(seen, noise)

    def judged_anew(self, number: int) -> None:
        """Evaluation ``number`` begins: equal numbers, equal draws."""
        self._judges = [self._generator(seed, "judge", number) for seed in self._seeds]

    def at_random(self, environments: int) -> Tensor:
        """Uniform actions ``[S, E, a]``, in [-1, 1) or one-hot."""
        if self._discrete:
            chosen = [
                torch.randint(self._actions, (environments,), generator=g, device=self._device) for g in self.explorers
            ]
            return chosen_of(torch.stack(chosen), self._actions)
        shape = (environments, self._actions)
        return torch.stack([torch.rand(shape, generator=g, device=self._device) for g in self.explorers]) * 2 - 1

    def _normals(self, generators: Sequence[torch.Generator], shape: Shape) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g, device=self._device) for g in generators])

    def _generator(self, seed: int, *names: str | int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(derive(seed, *names))


class Signals:
    """Scalars that an update reports, summed on the device and read once a logging interval: one transfer."""

    def __init__(self, names: Sequence[str], seeds: int, device: str) -> None:
        """Nothing has been reported."""
        self._names = names
        self.sums = torch.zeros(len(names) + 1, seeds, device=device)
        """How many updates, then the sum of each signal, by seed: state of the agent."""

    def add(self, told: Mapping[str, Tensor]) -> None:
        """Take in one update's signals, ``[S]`` each."""
        ones = torch.ones_like(self.sums[0])
        self.sums.add_(torch.stack([ones, *(told[name] for name in self._names)]))

    def drain(self) -> list[dict[str, float]]:
        """Means since the last call, a dict a seed, empty without updates."""
        sums = self.sums.to("cpu", copy=True)  # On a CPU, plain ``.cpu()`` would be the very tensor zeroed below.
        self.sums.zero_()
        return [
            {name: float(sums[row + 1, seed] / sums[0, seed]) for row, name in enumerate(self._names)}
            if sums[0, seed]
            else {}
            for seed in range(sums.shape[1])
        ]
