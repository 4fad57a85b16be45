"""The losses of ``acme/bounded_targets``. Legend: S seeds, C critics, B batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from composer.algorithms.ddpg_td3_losses import DeterministicProgram, Settings
from composer.algorithms.losses.features import VectorFeatures
from composer.algorithms.program import Batch, BuiltAgent


class BoundedProgram(DeterministicProgram):
    """Two objectives, and a range of targets that grows."""

    def __init__(self, built: BuiltAgent, settings: Settings) -> None:
        """``built.tensors`` hold the range, ``[S]`` each."""
        super().__init__(built, VectorFeatures(), settings)
        self._lowest, self._highest, self._seen = (built.tensors[name] for name in ("lowest", "highest", "seen"))

    def critic_loss(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> Tensor:
        """``mean (Q - r - discount clip(min Q', lowest, highest))^2``, summed over critics."""
        with torch.no_grad():
            action = self._with_noise("target", self._next_actor(batch.next_observation)[:, 0], noise)
            joined = torch.cat([batch.next_observation, action], -1)
            following = self._returns.value(self._target_critic(joined)).amin(1)
            low, high = (torch.where(self._seen > 0, bound, 0.0)[:, None] for bound in (self._lowest, self._highest))
            target = batch.reward + batch.bootstrap * following.clamp(low, high)
            signals["lowest"], signals["highest"] = target.amin(1), target.amax(1)
        predicted = self._returns.value(self._critic(torch.cat([batch.observation, batch.action], -1), training=True))
        loss: Tensor = (predicted - target[:, None]).square().mean(2).sum(1)
        signals["critic/loss"], signals["critic/value"] = loss.detach(), predicted.detach().mean((1, 2))
        return loss

    def finish_update(self, batch: Batch, noise: Mapping[str, Tensor], signals: dict[str, Tensor]) -> None:
        """The range takes in the targets of this update."""
        first = self._seen == 0
        self._lowest.copy_(torch.where(first, signals["lowest"], torch.minimum(self._lowest, signals["lowest"])))
        self._highest.copy_(torch.where(first, signals["highest"], torch.maximum(self._highest, signals["highest"])))
        self._seen.add_(batch.reward.shape[1])
