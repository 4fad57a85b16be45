"""The batch that an update learns from, made of raw transitions. Tests: tests/training/test_learner.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from composer.algorithms.program import Batch

if TYPE_CHECKING:
    from composer.algorithms.normalization.returns import RunningReturns
    from composer.replay.transitions import Transitions


def batch_of(
    drawn: Transitions,
    extra: Mapping[str, Tensor],
    see: Callable[[Tensor], Tensor],
    rewards: RunningReturns | None,
) -> Batch:
    """Transitions ``[S, B, ...]`` with observations as ``see`` maps them and rewards as ``rewards`` scales them."""
    reward = drawn.reward if rewards is None else rewards.scaled(drawn.reward)
    if (future := extra.get("future/observation")) is not None:
        seen = see(future.flatten(1, 2)).unflatten(1, future.shape[1:3])
        extra = {**extra, "future/observation": seen}
    if rewards is not None and "future/reward" in extra:
        extra = {**extra, "future/reward": rewards.scaled(extra["future/reward"])}
    return Batch(see(drawn.observation), drawn.action, reward, drawn.bootstrap, see(drawn.next_observation), extra)
