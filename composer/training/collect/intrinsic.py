"""The intrinsic rewards of a rollout: normalised, and summed up to returns and advantages that no episode ends.

Legend: S seeds, E environments of a seed, T interactions of a rollout, B batch. Tests: tests/papers/test_novelty.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.algorithms.losses.advantages import generalised_advantages
from composer.algorithms.normalization.moments import RunningMoments

if TYPE_CHECKING:
    from composer.algorithms.novelty_losses import NoveltyLosses
    from composer.algorithms.program import Batch

_PREFIX = "intrinsic/"
SMALLEST_VARIANCE = 1e-12
"""Lower bound of the variance of intrinsic returns that rewards are divided by the root of."""


class IntrinsicAdvantages:
    """Evaluates the intrinsic rewards of whole rollouts, one rollout after another.

    Rewards are divided by the standard deviation of ``G = discount G + r`` over all interactions so far, those of the
    present rollout included; G is never set to 0. Source: section 2.4 of arXiv:1810.12894 and its released code.
    """

    def __init__(self, novelty: NoveltyLosses, seeds: int, copies: int, trace_decay: float, device: str) -> None:
        """``trace_decay`` is lambda of generalised advantages."""
        self._novelty, self._trace_decay = novelty, trace_decay
        self._running = torch.zeros(seeds, copies, dtype=torch.float64, device=device)
        """G, ``[S, E]``."""
        self._moments = RunningMoments(seeds, 1, 0.0, device)

    def read(self, batch: Batch) -> Tensor:
        """Rewards and values of a piece of a rollout, and values of its next observations: ``[3, S, B]``."""
        novelty, following = self._novelty, batch.next_observation
        return torch.stack([novelty.reward(following), novelty.value(batch.observation), novelty.value(following)])

    def evaluate(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted advantages of a rollout, ``[S, T E]`` in order of arrival, and ``EXTRAS``. Moves the statistics.

        The value after a transition is that of the next interaction's observation, though another episode has begun.
        After the last interaction it is that of the transition's own next observation.
        """
        seeds, copies = self._running.shape
        reward, value, following = rows.view(3, seeds, -1, copies)
        settings = self._novelty.settings
        if settings.normalizes:
            reward = self._normalised(reward)
        after, discount = torch.cat([value[:, 1:], following[:, -1:]], 1), settings.discount
        bootstrap, never = discount[:, None, None].expand_as(reward), torch.zeros_like(reward)
        advantage = generalised_advantages(reward, value, after, bootstrap, never, discount * self._trace_decay)
        extras = {"intrinsic_return": advantage + value, "intrinsic_reward": reward, "intrinsic_value": value}
        weighted = settings.advantage_coefficient * advantage.flatten(1)
        return weighted, {name: each.flatten(1) for name, each in extras.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The state by name."""
        if not self._novelty.settings.normalizes:
            return {}
        return {_PREFIX + name: value for name, value in {"running": self._running, **self._moments.tensors()}.items()}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` gave. A fork of a run without intrinsic rewards begins to count anew."""
        for name, value in self.tensors().items():
            value.copy_(saved.get(name, value))

    def _normalised(self, reward: Tensor) -> Tensor:
        """Count rewards ``[S, T, E]``, then divide them."""
        discount = self._novelty.settings.discount[:, None]
        for step in range(reward.shape[1]):
            self._running.mul_(discount).add_(reward[:, step])
            self._moments.observe(self._running[..., None])
        deviation = self._moments.variance.clamp_min(SMALLEST_VARIANCE).sqrt().to(reward.dtype)
        return reward / deviation[..., None]
