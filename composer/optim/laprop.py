"""LaProp with adaptive gradient clipping. Tests: tests/papers/test_laprop.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.base import Optimizer
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.laprop_steps import LaPropState


class LaProp(Optimizer, kind="laprop"):
    """LaProp: a running mean of gradients that are each divided by the root of their running square first.

    ``w <- w - rate m / (1 - beta1^t)`` with ``m <- beta1 m + (1 - beta1) g / (sqrt(v / (1 - beta2^t)) + epsilon)``;
    Adam divides the running mean instead. Before all that, ``adaptive_clip`` c scales a gradient down to the norm
    ``c max(weight_norm_floor, |w|)``, one weight matrix or bias at a time: adaptive gradient clipping, whose paper
    takes norms of rows. Defaults are those of DreamerV3's released code. Sources: Ziyin et al., arXiv:2002.04839; Brock
    et al., arXiv:2102.06171, Eq. 3; Hafner et al., arXiv:2301.04104.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "laprop", "learning_rate": 4e-5, "adaptive_clip": 0.3}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=4e-5)
    """Step size, a number or a schedule over updates."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the running mean of normalised gradients."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(default=1e-20, gt=0, le=1)
    """Added to the root of the second moment."""
    adaptive_clip: Annotated[Annotated[float, Field(gt=0, le=1e6)] | None, Without(None)] = None
    """Bound of a gradient's norm, divided by its parameter's norm. Absent: no bound."""
    weight_norm_floor: float = Field(default=1e-3, gt=0, le=1e6)
    """Least norm that a parameter counts with in that bound, so that parameters that start at 0 can move."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> LaPropState:
        from composer.optim.laprop_steps import LaPropState

        betas = self.beta1, self.beta2, self.epsilon
        clip = None if self.adaptive_clip is None else (self.adaptive_clip, self.weight_norm_floor)
        return LaPropState(parameters, hyperparameters, self.learning_rate, *betas, clip)

    @override
    def moments(self) -> int:
        return 2
