"""Returns of whole episodes by task, and the scale of rewards that they bound, float64 and in place.

Legend: S seeds, E environments of a seed, L decisions of an episode, T tasks; environment e is of task e modulo T.
Source: BRC, arXiv:2505.23150, and its released code. Tests: tests/papers/test_task_scaling.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.normalization.returns import RunningReturns
from composer.algorithms.program import Program
from composer.environments.interface import EnvironmentInfo
from composer.optim.hyperparameters import Hyperparameters


class TaskReturns(RunningReturns):
    """``r bound / (max|G| - temperature entropy horizon / 2)`` with the largest ``|G|`` of the task."""

    def __init__(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor, bound: float) -> None:
        """``bound`` is the largest size of a scaled return; ``attach`` makes room for episodes."""
        super().__init__(hyperparameters, environments, discount, epsilon=1.0)
        self._bound = hyperparameters.number(bound, dtype=torch.float64)
        self._program: Program | None = None
        self._make_room(tasks=1, decisions=1)

    @override
    def attach(self, info: EnvironmentInfo, program: Program) -> None:
        self._program = program
        self._make_room(max(info.tasks, 1), info.episode_interactions)

    def _make_room(self, tasks: int, decisions: int) -> None:
        seeds, environments = self.returns.shape
        self.rewards = self.returns.new_zeros(seeds, environments, decisions)
        """Of the running episodes."""
        self.length = torch.zeros(seeds, environments, dtype=torch.int64, device=self.returns.device)
        """Decisions of the running episodes."""
        self.largest = self.returns.new_zeros(seeds, tasks)
        """The largest size of a return so far, by task."""
        self.finished = torch.zeros(seeds, tasks, dtype=torch.int64, device=self.returns.device)
        """Episodes that have ended, by task."""

    @torch.no_grad()
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Add rewards; of an episode that ends, count the return from each of its decisions on."""
        last = self.rewards.shape[2] - 1  # An environment may pass its declared limit: its last reward is replaced.
        self.rewards.scatter_(2, self.length.clamp(max=last)[..., None], reward.to(self.rewards)[..., None])
        self.length.add_(1)
        ended = terminated | truncated
        if not bool(ended.any()):
            return
        self._count_episodes(self._returns_to_go(truncated), ended)
        self.length.masked_fill_(ended, 0)

    def _returns_to_go(self, truncated: Tensor) -> Tensor:
        """``G [S, E, L]`` from each decision on, as if all episodes ended now; what comes later is 0."""
        decisions = self.rewards.shape[2]
        index = torch.arange(decisions, device=self.rewards.device)
        length = self.length.clamp(max=decisions)
        is_past = index < length[..., None]
        found = self.rewards.where(is_past, self.rewards.new_zeros(()))
        discount = self._discount.double()[:, None]
        # What follows the last reward is part of it, discounted once.
        rest = truncated * (found.sum(2) / length.clamp(min=1)) / (1 - discount) * discount
        found = found + rest[..., None] * (index == length[..., None] - 1)
        step = 1
        while step < decisions:  # Each pass doubles the number of rewards in every sum.
            later = torch.cat([found[..., step:], torch.zeros_like(found[..., :step])], 2)
            found = found + discount[..., None] ** step * later
            step *= 2
        return found

    def _count_episodes(self, found: Tensor, ended: Tensor) -> None:
        index, tasks = torch.arange(found.shape[2], device=found.device), self.largest.shape[1]
        counts = (index < self.length[..., None]) & ended[..., None]
        largest = (found.abs() * counts).amax(2).unflatten(1, (-1, tasks)).amax(1)
        self.largest.copy_(torch.maximum(self.largest, largest))
        self.finished.add_(ended.long().unflatten(1, (-1, tasks)).sum(1))

    @override
    def restart(self) -> None:
        self.length.zero_()

    def scales(self) -> Tensor:
        """The factor on the rewards of each task, float32 ``[S, T]``; 0 before its first episode has ended."""
        horizon = 1 / (1 - self._discount.double()[:, None])
        entropy = 0.0 if self._program is None else self._program.target_entropy_bonus()
        bonus = entropy if isinstance(entropy, float) else entropy.detach().double()[:, None]
        factor = self._bound[:, None] / (self.largest - horizon * bonus / 2)
        return torch.where(self.finished > 0, factor, torch.zeros_like(factor)).float()

    def scale(self) -> Tensor:
        """The mean over tasks, ``[S]``."""
        return self.scales().mean(1)

    @override
    def scaled(self, reward: Tensor, observation: Tensor | None = None) -> Tensor:
        scales = self.scales()
        if scales.shape[1] == 1:
            return reward * scales.view(-1, *[1] * (reward.ndim - 1))
        if observation is None:
            raise ValueError("rewards of several tasks are scaled by the tasks that their observations name")
        factor = (observation[..., -scales.shape[1] :].float() @ scales[..., None])[..., 0]
        return reward * factor.view(*factor.shape, *[1] * (reward.ndim - factor.ndim))

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {"rewards": self.rewards, "length": self.length, "largest": self.largest, "finished": self.finished}
