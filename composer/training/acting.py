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
        self.begin_evaluation(0)

    def explore(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` for normalised observations ``[S, E, ...]``."""
        return self._explorer.act(seen, self.exploration_noise(seen.shape[1]))

    def exploration_noise(self, environments: int) -> Tensor:
        """The next unit-normal draws for a decision of every environment, ``[S, E, *exploration_noise]``."""
        declared = self._explorer.exploration_noise
        each = (self._actions,) if declared is None else declared
        return self._normals(self.explorers, (environments, *each))

    def evaluate(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]`` in an evaluation; its draws, if any, come from the evaluation's streams."""
        if self._evaluated.memory:
            return self._evaluate_from_memory(seen)
        drawn = self._evaluated.evaluation_noise
        noise = None if drawn is None else self._normals(self._evaluation_generators, (seen.shape[1], *drawn))
        return self._evaluated.evaluate(seen, noise)

    def begin_evaluation(self, number: int) -> None:
        """Start the random streams of evaluation ``number``: equal numbers, equal draws."""
        self._memory: Mapping[str, Tensor] = {}
        self._evaluation_generators = [self._generator(seed, "judge", number) for seed in self._seeds]

    def _evaluate_from_memory(self, seen: Tensor) -> Tensor:
        """Actions ``[S, E, a]``. Every environment is judged by its first episode: memories are never emptied."""
        program, begins = self._evaluated, not self._memory
        shape = seen.shape[:2]
        memory = self._memory or {
            role: torch.zeros(*shape, program.memory[role], device=seen.device) for role in program.acting_roles
        }
        starts = torch.full(shape, begins, device=seen.device)
        action, _, self._memory = program.act_from_memory(seen, None, starts, memory)
        return action

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
        return torch.stack([torch.randn(shape, generator=g, device=self._device) for g in generators])

    def _generator(self, seed: int, *names: str | int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(derive(seed, *names))
