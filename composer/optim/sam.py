"""Sharpness-aware minimisation around any optimizer. Tests: tests/papers/test_sam.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.optim.base import Optimizer
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.steps import GradientRule, OptimizerState


class Sam(Optimizer, kind="sam"):
    """Sharpness-aware minimisation: the base optimizer steps from ``w`` along the gradient at ``w + rho g / |g|``.

    The norm is that of a seed's whole gradient, over all parameters of the optimizer, copies included. Both gradients
    are of the same loss with the same samples, noise and dropout masks. Running statistics and signals come from the
    pass at ``w`` alone. An update of this network costs about twice as much. Source: Foret et al., arXiv:2010.01412,
    algorithm 1.
    """

    takes_two_gradients: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "sam", "rho": 0.05, "base": {"kind": "adam", "learning_rate": 3e-4}}

    rho: float = Field(default=0.05, gt=0, le=100)
    """Euclidean distance from the weights to the point where the gradient is taken."""
    base: Optimizer
    """The optimizer that steps, on the second gradient."""

    @field_validator("base")
    @classmethod
    def _steps_itself(cls, base: Optimizer) -> Optimizer:
        if isinstance(base, Sam):
            raise PydanticCustomError("sam_base", "'base' is the optimizer that steps; it cannot be 'sam' again")
        return base

    @override
    def without(self) -> Optimizer:
        """The base optimizer."""
        return self.base

    @property
    @override
    def stepping(self) -> Optimizer:
        return self.base.stepping

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> OptimizerState:
        return self.base.build(parameters, hyperparameters, keys)

    @override
    def gradient_rule(self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters) -> GradientRule:
        from composer.optim.sam_steps import SharpestGradient

        return SharpestGradient(parameters, hyperparameters.number(self.rho))

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        return ((f"base.{key}", message) for key, message in self.base.problems(paths))

    @override
    def moments(self) -> int:
        return self.base.moments()

    @override
    def entries(self, shapes: Mapping[str, Shape]) -> int:
        return self.base.entries(shapes)
