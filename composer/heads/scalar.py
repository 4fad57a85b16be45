"""The head of a value network. Tests: tests/contracts/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.calls import Call, call
from composer.heads.base import Head, linear_outline
from composer.initializers import Initializer, Orthogonal, Zeros
from composer.shapes import Outline, Shape


class Scalar(Head, kind="scalar"):
    """One number a sample, without a trailing axis: ``[n] -> []``; a state or state-action value."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "scalar"}
    produces: ClassVar[str] = "value"

    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [1, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [1]."""

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``; the action size plays no part."""
        child = linear_outline(self.kind, shape, 1, self.weight, self.bias_init)
        return Outline(self.kind, shape, (), children={"linear": child})

    def module(self, shape: Shape, actions: int) -> Call:
        """``composer.nn.heads.ScalarHead``: returns values [B]."""
        features = self.outline(shape, actions).input[0]
        return call("composer.nn.heads:ScalarHead", features)
