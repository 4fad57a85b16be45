"""The head of a value network. Tests: tests/contracts/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from composer.heads.base import Head, linear_outline
from composer.initializers import Initializer, Orthogonal, Zeros
from composer.shapes import Outline, Shape

if TYPE_CHECKING:
    from torch import nn


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

    def build(self, shape: Shape, actions: int) -> nn.Module:
        """``composer.nn.heads.ScalarHead``: returns values [B]."""
        from composer.nn.heads import ScalarHead

        features = self.outline(shape, actions).input[0]
        return ScalarHead(features)
