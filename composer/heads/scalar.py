"""The head of a value network. Tests: tests/contracts/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.calls import Call, call
from composer.heads.base import Head
from composer.heads.layers import dense, dense_call, features
from composer.initializers import Initializer, Orthogonal, Zeros
from composer.shapes import Outline, Shape


class Scalar(Head, kind="scalar"):
    """One number a sample, without a trailing axis: ``[n] -> []``; a state or state-action value."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "scalar"}

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

    def module(self, shape: Shape, actions: int) -> Call:
        """``composer.nn.heads.DenseHead``: returns values [B]."""
        self.outline(shape, actions)
        return call("composer.nn.heads:DenseHead", dense_call(shape, 1), ())

    def returns(self) -> Call:
        """``composer.nn.returns.Point``: the value itself."""
        return call("composer.nn.returns:Point")
