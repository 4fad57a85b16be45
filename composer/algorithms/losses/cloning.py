"""Behaviour cloning beside an actor's loss, in proportion to the size of values.

Source: Fujimoto and Gu, arXiv:2106.06860, Eq. 3 and 4.
Legend: S seeds, B batch, a action. Tests: tests/papers/test_behaviour_cloning.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

SMALLEST = 1e-8
"""Least mean size of values that is divided by."""


@dataclass(frozen=True)
class CloningLoss:
    """Adds the squared distance from the actions of the data to an actor's loss."""

    weight: Callable[[Tensor], Tensor]
    """From updates done to the weight, ``[S]`` each."""
    weighs_value: bool
    """Whether the weight belongs to the actor's own loss, over the size of values; else to the error, times it."""

    def add(
        self, loss: Tensor, values: Tensor, actions: tuple[Tensor, Tensor], updates: Tensor, signals: dict[str, Tensor]
    ) -> Tensor:
        """The whole loss ``[S]`` from the actor's own; reports ``actor/cloning``, the error.

        Args:
            loss: ``[S]``.
            values: ``[S, B]``, those that the actor maximises.
            actions: of the policy and of the data, ``[S, B, a]`` each.
            updates: ``[S]``, updates done.
            signals: where the error is reported.
        """
        error = (actions[0] - actions[1]).square().mean((1, 2))
        signals["actor/cloning"] = error.detach()
        size, weight = values.detach().abs().mean(1), self.weight(updates)
        if self.weighs_value:
            return weight / size.clamp_min(SMALLEST) * loss + error
        return loss + weight * size * error
