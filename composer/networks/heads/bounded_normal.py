"""The head of a policy of normals whose deviation depends on the state. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.heads.dense import DenseHead
from composer.networks.heads.layers import features
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Deviation = Annotated[float, Field(gt=0, le=100)]


class BoundedNormal(DenseHead, kind="bounded_normal"):
    """Mean and log standard deviation of normals that no tanh squashes: ``[n] -> ([a], [a])``.

    The mean is a tanh; the deviation is ``low + (high - low) sigmoid(s + 2)`` of a layer's output s, so that it starts
    near ``high``. Draws may leave the action box. Source: DreamerV3, arXiv:2301.04104, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "bounded_normal", "std_min": 0.1}

    std_min: Deviation = 0.1
    """Lower bound of the standard deviation."""
    std_max: Deviation = 1.0
    """Upper bound of the standard deviation."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.std_min >= self.std_max:
            ends = {"low": self.std_min, "high": self.std_max}
            raise PydanticCustomError("std_order", "'std_min' ({low}) must be below 'std_max' ({high})", ends)
        return self

    @property
    @override
    def produces(self) -> str:
        return "gaussian"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``mean`` and ``deviation``; ``output`` is the shape of each of the two outputs."""
        features(self.kind, shape)
        children = {name: self.layer(shape, actions) for name in ("mean", "deviation")}
        return Outline(self.kind, shape, (actions,), children=children, flops=6 * actions, layout="parallel")

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.BoundedNormalHead``: returns (mean [B, a], log_std [B, a])."""
        self.outline(shape, actions)
        layers = [self.layer_call(shape, actions) for _ in range(2)]
        return call("composer.networks.modules.heads:BoundedNormalHead", *layers, self.std_min, self.std_max)
