"""The head of a value network. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.heads.base import Head
from composer.networks.heads.layers import dense, dense_call, features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Scalar(Head, kind="scalar"):
    """One number a sample, without a trailing axis: ``[n] -> []``; a state or state-action value."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "scalar"}
    is_chain = True

    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [1, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [1]."""
    unit_norm: bool = False
    """Whether the weight is kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """One value."""
        return "value"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``; the action size plays no part."""
        features(self.kind, shape)
        return Outline(self.kind, shape, (), children={"linear": dense(self, shape, 1)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns values [B]."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DenseHead", dense_call(shape, 1), ())

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Point``: the value itself."""
        return call("composer.algorithms.losses.returns:Point")
