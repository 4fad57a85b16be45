"""The head of a stochastic policy with bounded actions. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.heads.dense import DenseHead
from composer.networks.heads.layers import after, after_call, features
from composer.networks.initializers import Initializer
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located

LogStd = Annotated[float, Field(ge=-30, le=10)]


class TanhGaussian(DenseHead, kind="tanh_gaussian"):
    """Mean and log standard deviation of a Gaussian whose draws pass through tanh: ``[n] -> ([a], [a])``.

    Two dense layers, ``mean`` and ``log_std``, each after a ``hidden`` block of its own where there is one; the second
    is mapped smoothly into its bounds, ``min + (max - min) / 2 * (1 + tanh(x))``, or clipped to them. Sampling:
    ``composer.algorithms.losses.tanh_gaussian``.
    Source: Haarnoja et al., arXiv:1812.05905; bounds of SimBa, arXiv:2410.09754.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "tanh_gaussian"}

    log_std_min: LogStd = -10.0
    """Lower bound of the log standard deviation (natural logarithm)."""
    log_std_max: LogStd = 2.0
    """Upper bound of the log standard deviation (natural logarithm)."""
    log_std_bound: Literal["tanh", "clip"] = "tanh"
    """How it is kept within them: mapped by a tanh, or clipped, as in CrossQ (arXiv:1902.05605), where it has no
    gradient outside."""
    log_std_weight: Initializer | None = None
    """Initialiser of the weight of ``log_std``; absent: that of the mean."""
    hidden: Block | None = None
    """A block before each of the two layers, twice with parameters of its own, as in SimbaV2; a list is a sequence."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.log_std_min >= self.log_std_max:
            raise PydanticCustomError(
                "log_std_bounds",
                "'log_std_min' ({low}) must be below 'log_std_max' ({high})",
                {"low": self.log_std_min, "high": self.log_std_max},
            )
        return self

    @property
    @override
    def produces(self) -> str:
        return "tanh_gaussian"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Children ``mean`` and ``log_std``; ``output`` is the shape of each. A tanh is four operations, a clip two."""
        features(self.kind, shape)
        mean = after(self.hidden, shape, lambda given: self._layer(given, actions))
        own = self if self.log_std_weight is None else self.model_copy(update={"weight": self.log_std_weight})
        log_std = after(self.hidden, shape, lambda given: own._layer(given, actions))
        children = {"mean": mean, "log_std": log_std}
        flops = (2 if self.log_std_bound == "clip" else 4) * actions
        return Outline(self.kind, shape, (actions,), children=children, flops=flops, layout="parallel")

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.TanhGaussianHead``: returns (mean [B, a], log_std [B, a])."""
        self.outline(shape, actions)
        layer = after_call(self.hidden, shape, lambda given: self.layer_call(given, actions))
        clips = {"clips": True} if self.log_std_bound == "clip" else {}
        bounds = self.log_std_min, self.log_std_max
        return call("composer.networks.modules.heads:TanhGaussianHead", layer, layer, *bounds, **clips)

    def _layer(self, shape: Shape, actions: int) -> Outline:
        with located("hidden"):
            features(self.kind, shape)
        return self.layer(shape, actions)
