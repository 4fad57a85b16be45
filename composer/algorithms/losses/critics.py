"""Several critics of one return: their joint target and their loss, as pure functions.

Legend: S seeds, C critics, B batch. Tests: tests/papers/test_sac_critics.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from composer.algorithms.losses.returns import Returns, lowest


def joint_return(returns: Returns[Any], raw: Any, rule: str) -> Any:
    """One return ``[S, B, ...]`` of critics ``[S, C, B, ...]``: the lowest (``minimum``) or the ``mean``."""
    return lowest(raw, returns.value(raw), 1) if rule == "minimum" else returns.average(raw, 1)


def joint_value(values: Tensor, rule: str) -> Tensor:
    """One value ``[S, B]`` of critics ``[S, C, B]``: ``minimum``, ``mean`` or that of the ``first``."""
    if rule == "first":
        return values[:, 0]
    return values.amin(1) if rule == "minimum" else values.mean(1)


def critics_loss(
    returns: Returns[Any], predicted: Any, target: Tensor, signals: dict[str, Tensor], views: int = 1
) -> Tensor:
    """``sum_c mean L(Z_c, target)`` with the head's loss L, ``[S]``; reports ``critic/loss`` and ``critic/value``.

    The loss is summed over ``views`` of each sample, which are folded into the batch.
    """
    loss: Tensor = returns.loss(predicted, target[:, None]).mean(2).sum(1)
    loss = loss if views == 1 else views * loss
    with torch.no_grad():
        signals["critic/loss"], signals["critic/value"] = loss.detach(), returns.value(predicted).mean((1, 2))
    return loss
