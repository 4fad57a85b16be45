"""Scales of rewards from running statistics of discounted returns, float64 and in place.

Legend: S seeds, E environments of a seed. Tests: tests/papers/test_reward_scaling.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.normalization.moments import RunningMoments
from composer.optim.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from composer.algorithms.program import Program
    from composer.environments.interface import EnvironmentInfo


class RunningReturns(ABC):
    """Discounted returns of every environment so far, and the moments of all past ones.

    Rewards are divided and not centred, so that a scaled sum of rewards is the sum of scaled rewards.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        environments: int,
        discount: Tensor,
        epsilon: float,
        clip: float | None = None,
    ) -> None:
        """``discount [S]`` of one interaction is read at every call; ``epsilon`` is added to the variance."""
        seeds, device = hyperparameters.seeds, str(hyperparameters.device)
        self.moments = RunningMoments(seeds, 1, epsilon, device)
        self.returns = torch.zeros(seeds, environments, dtype=torch.float64, device=device)
        self._discount, self._clip = discount, clip
        self._epsilon = hyperparameters.number(epsilon, dtype=torch.float64)

    def attach(self, info: EnvironmentInfo, program: Program) -> None:  # noqa: B027 - most read neither
        """Learn the environment and the program whose rewards these are. Called once, before the first reward."""

    def restart(self) -> None:
        """Forget the running episodes, in whose place new ones begin."""
        self.returns.zero_()

    @abstractmethod
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Add the rewards and ends of one interaction, ``[S, E]`` each."""

    def discounted(self, returns: Tensor, ended: Tensor) -> Tensor:
        """What is left of returns ``[S, E]`` when the next reward comes, which ``ended`` the episode where true."""
        return returns * self._discount[:, None]

    @torch.no_grad()
    def count_data(self, reward: Tensor, ended: Tensor) -> None:
        """Add a whole data set, which all seeds learn from: rewards and ends ``[N]`` in order of time.

        Every episode begins with a return of 0.
        """
        stops = ended.nonzero()[:, 0] + 1
        if not len(stops) or int(stops[-1]) < len(reward):
            stops = torch.cat([stops, torch.tensor([len(reward)], device=stops.device)])
        starts = torch.cat([stops.new_zeros(1), stops[:-1]])
        order = (stops - starts).argsort(descending=True, stable=True)
        starts, lengths = starts[order], (stops - starts)[order]
        returns, counted = self.returns.new_zeros(len(self.returns), len(starts)), []
        for step in range(int(lengths[0])):
            at = starts[: int((lengths > step).sum())] + step
            returns = self.discounted(returns[:, : len(at)], ended[at]) + reward[at].to(returns)
            counted.append(returns)
        self._count(torch.cat(counted, 1))

    def _count(self, returns: Tensor) -> None:
        """Add discounted returns ``[S, n]`` to the statistics."""
        self.moments.observe(returns[..., None])

    def arrive(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Rewards and ends of an interaction, ``[S, E]`` each, before its updates: they are counted at once."""
        self.observe(reward, terminated, truncated)

    def count_waiting(self) -> None:  # noqa: B027 - most count at once
        """Count what arrived in the interaction before and waits. Called before the policy acts."""

    @abstractmethod
    def scale(self) -> Tensor:
        """The present factor on rewards, float32 ``[S]``."""

    def scaled(self, reward: Tensor, observation: Tensor | None = None) -> Tensor:
        """Rewards ``[S, ...]`` times ``scale()``, clipped where declared.

        Raw observations ``[S, B, d]`` of the samples name the task where there are several.
        """
        scaled = reward * self.scale().view(-1, *[1] * (reward.ndim - 1))
        return scaled if self._clip is None else scaled.clamp(-self._clip, self._clip)

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, not copies."""
        return {"returns": self.returns, **self.moments.tensors()}

    def deviation(self) -> Tensor:
        """``sqrt(variance + epsilon)``, float64 ``[S]``."""
        return (self.moments.variance[:, 0] + self._epsilon).sqrt()


class ReturnScale(RunningReturns):
    """``r / sqrt(var(G) + epsilon)``, where G starts at 0 in every episode."""

    @torch.no_grad()
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Count ``G = discount G + r``, then set G to 0 where an episode ended."""
        self.returns.mul_(self._discount[:, None]).add_(reward)
        self.moments.observe(self.returns[..., None])
        self.returns.masked_fill_(terminated | truncated, 0.0)

    def scale(self) -> Tensor:
        """``1 / sqrt(var(G) + epsilon)``."""
        return self.deviation().reciprocal().float()


class ConstantScale(RunningReturns):
    """``factor * r``; nothing is counted."""

    def __init__(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor, factor: float) -> None:
        """``factor`` is the same for all rewards of a seed."""
        super().__init__(hyperparameters, environments, discount, epsilon=1.0)
        self._factor = hyperparameters.number(factor)

    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Nothing changes."""

    @override
    def count_data(self, reward: Tensor, ended: Tensor) -> None:
        """Nothing changes."""

    def scale(self) -> Tensor:
        """The factor."""
        return self._factor

    @override
    def tensors(self) -> dict[str, Tensor]:
        return {}


class OffsetScale(RunningReturns):
    """``r / (sqrt(var(G)) + epsilon)``, where the last reward of an episode counts alone."""

    @torch.no_grad()
    def observe(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        """Count ``G = discount (1 - done) G + r``."""
        self.returns.copy_(self.discounted(self.returns, terminated | truncated)).add_(reward)
        self._count(self.returns)

    @override
    def discounted(self, returns: Tensor, ended: Tensor) -> Tensor:
        return returns * (self._discount[:, None] * ~ended)

    def scale(self) -> Tensor:
        """``1 / (sqrt(var(G)) + epsilon)``."""
        return (self.moments.variance[:, 0].sqrt() + self._epsilon).reciprocal().float()


class BoundedScale(OffsetScale):
    """``r / max(sqrt(var(G) + epsilon), max|G| / bound)``: scaled returns stay within the bound.

    A reward that arrives waits until the policy acts again: SimbaV2's code counts it then, and so after the updates of
    its own interaction. FlashSAC's counts it at once.
    """

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        environments: int,
        discount: Tensor,
        epsilon: float,
        bound: float,
        waits: bool = True,
    ) -> None:
        """``bound`` is the largest size of a scaled return; with ``waits`` rewards do."""
        super().__init__(hyperparameters, environments, discount, epsilon)
        self.largest = torch.zeros_like(discount, dtype=torch.float64)
        self._bound = hyperparameters.number(bound, dtype=torch.float64)
        self._waits = waits
        self._waiting = {name: torch.zeros_like(self.returns) for name in ("reward", "terminated", "truncated")}

    @override
    @torch.no_grad()
    def arrive(self, reward: Tensor, terminated: Tensor, truncated: Tensor) -> None:
        if not self._waits:
            return self.observe(reward, terminated, truncated)
        for value, arrived in zip(self._waiting.values(), (reward, terminated, truncated), strict=True):
            value.copy_(arrived)

    @override
    def count_waiting(self) -> None:
        if not self._waits:
            return
        waiting = self._waiting
        self.observe(waiting["reward"], waiting["terminated"] > 0, waiting["truncated"] > 0)

    @override
    def _count(self, returns: Tensor) -> None:
        """Also the largest ``|G|``."""
        super()._count(returns)
        self.largest.copy_(torch.maximum(self.largest, returns.abs().amax(1)))

    def scale(self) -> Tensor:
        """``1 / max(sqrt(var(G) + epsilon), max|G| / bound)``."""
        return torch.maximum(self.deviation(), self.largest / self._bound).reciprocal().float()

    def tensors(self) -> dict[str, Tensor]:
        """Also the largest ``|G|`` so far, and what waits."""
        waiting = {f"waiting/{name}": value for name, value in self._waiting.items()}
        return {**super().tensors(), "largest": self.largest, **waiting}
