"""The head of a stochastic policy with bounded actions. Tests: tests/contracts/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from composer.calls import Call, call
from composer.heads.base import Head, linear_outline
from composer.initializers import Initializer, Orthogonal, Zeros
from composer.shapes import Outline, Shape

LogStd = Annotated[float, Field(ge=-30, le=10)]


class TanhGaussian(Head, kind="tanh_gaussian"):
    """Mean and log standard deviation of a Gaussian whose draws pass through tanh: ``[n] -> ([a], [a])``.

    Two dense layers, ``mean`` and ``log_std``; the second is mapped smoothly into its bounds:
    ``min + (max - min) / 2 * (1 + tanh(x))``. Sampling: ``composer.nn.tanh_gaussian``.
    Source: Haarnoja et al., arXiv:1812.05905; bounds of SimBa, arXiv:2410.09754.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "tanh_gaussian"}
    produces: ClassVar[str] = "tanh_gaussian"

    log_std_min: LogStd = -10.0
    """Lower bound of the log standard deviation (natural logarithm)."""
    log_std_max: LogStd = 2.0
    """Upper bound of the log standard deviation (natural logarithm)."""
    weight: Initializer = Orthogonal()
    """Initialiser of both weights, shape [a, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of both biases, shape [a]."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.log_std_min >= self.log_std_max:
            raise PydanticCustomError(
                "log_std_bounds",
                "'log_std_min' ({low}) must be below 'log_std_max' ({high})",
                {"low": self.log_std_min, "high": self.log_std_max},
            )
        return self

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``mean`` and ``log_std``; ``output`` is the shape of each. Four operations bound an entry."""
        child = linear_outline(self.kind, shape, actions, self.weight, self.bias_init)
        return Outline(self.kind, shape, (actions,), children={"mean": child, "log_std": child}, flops=4 * actions)

    def module(self, shape: Shape, actions: int) -> Call:
        """``composer.nn.heads.TanhGaussianHead``: returns (mean [B, a], log_std [B, a])."""
        features = self.outline(shape, actions).input[0]
        return call("composer.nn.heads:TanhGaussianHead", features, actions, self.log_std_min, self.log_std_max)
