"""How an agent acts: exploration, random actions before the first update, evaluation.

Legend: S seeds, E environments of a seed, a action. Tests: tests/training/test_learner.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.losses.policies import one_hot
from composer.algorithms.program import BuiltAgent
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.random_streams import derive
from composer.spec.shape import Shape
from composer.training.agent_networks import with_averages


class ActingPolicy:
    """The acting rule of a program, where averages may act in the place of networks; each seed has its own streams."""

    def __init__(
        self, agent: AgentDeclaration, built: BuiltAgent, hyperparameters: Hyperparameters, device: str
    ) -> None:
        """Over the networks and averages of a learner."""
        self._seeds, self._device = agent.seeds, device
        self._actions, self._discrete = agent.info.action_size, agent.info.discrete
        self._explorer, self._evaluated = (
            agent.algorithm.build(with_averages(built, acting), agent.info, hyperparameters)
            for acting in (agent.acting, agent.evaluated)
        )
        self.explorers = [self._generator(seed, "explore") for seed in self._seeds]
        """Random streams of exploration, by seed."""
        self._memory: Mapping[str, Tensor] = {}
        """What the running evaluation remembers, ``[S, E, ...]`` by name; empty before its first decision."""
        self.begin_evaluation(0)

    def explore(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` for normalised observations ``[S, E, ...]``.

        A program that remembers goes on from the memories of the running evaluation.
        """
        if self._explorer.acting_memory:
            action, self._memory = self.explore_from_memory(seen, *self._remembered(seen))
            return action
        return self._explorer.act(seen, self.exploration_noise(seen.shape[1]))

    def explore_from_memory(
        self, seen: Tensor, starts: Tensor, memory: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The same from memories ``[S, E, ...]``, emptied where ``starts [S, E]``; and the memories after it."""
        noise = self.exploration_noise(seen.shape[1])
        emptied = {name: torch.where(_each(starts, value), 0, value) for name, value in memory.items()}
        action, _, after = self._explorer.act_from_memory(seen, noise, starts, emptied)
        return action, after

    def exploration_noise(self, environments: int) -> Tensor:
        """The next unit-normal draws for a decision of every environment, ``[S, E, *exploration_noise]``."""
        declared = self._explorer.exploration_noise
        each = (self._actions,) if declared is None else declared
        return self._normals(self.explorers, (environments, *each))

    def evaluate(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` in an evaluation; its draws, if any, come from the evaluation's streams."""
        drawn = self._evaluated.evaluation_noise
        noise = None if drawn is None else self._normals(self._evaluation_generators, (seen.shape[1], *drawn))
        if self._evaluated.acting_memory:
            action, self._memory = self._evaluated.evaluate_from_memory(seen, noise, *self._remembered(seen))
            return action
        return self._evaluated.evaluate(seen, noise)

    def begin_evaluation(self, number: int) -> None:
        """Start the random streams of evaluation ``number``: equal numbers, equal draws."""
        self._memory = {}
        self._evaluation_generators = [self._generator(seed, "judge", number) for seed in self._seeds]

    def empty_memory(self, environments: int) -> dict[str, Tensor]:
        """What acting remembers before an episode, ``[S, E, ...]`` by name."""
        rows, declared = (len(self._seeds), environments), self._explorer.acting_memory
        return {name: torch.zeros(*rows, *shape, device=self._device) for name, shape in declared.items()}

    def _remembered(self, seen: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Whether episodes begin, and the memories. Every environment is judged by its first episode alone."""
        starts = torch.full(seen.shape[:2], not self._memory, device=seen.device)
        return starts, self._memory or self.empty_memory(seen.shape[1])

    def random_actions(self, environments: int) -> Tensor:
        """Uniform actions ``[S, E, a]``, in [-1, 1) or one-hot."""
        if self._discrete:
            chosen = [
                torch.randint(self._actions, (environments,), generator=g, device=self._device) for g in self.explorers
            ]
            return one_hot(torch.stack(chosen), self._actions)
        shape = (environments, self._actions)
        return torch.stack([torch.rand(shape, generator=g, device=self._device) for g in self.explorers]) * 2 - 1

    def _normals(self, generators: Sequence[torch.Generator], shape: Shape) -> Tensor:
        if len(generators) == 1:
            return torch.randn((1, *shape), generator=generators[0], device=self._device)
        return torch.stack([torch.randn(shape, generator=g, device=self._device) for g in generators])

    def _generator(self, seed: int, *names: str | int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(derive(seed, *names))


def _each(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(*mask.shape, *[1] * (like.ndim - 2))
