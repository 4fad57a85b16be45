"""The head of a deterministic policy. Tests: tests/contracts/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.calls import Call, call
from composer.heads.base import Head, linear_outline
from composer.initializers import Initializer, Orthogonal, Zeros
from composer.shapes import Outline, Shape


class DeterministicTanh(Head, kind="deterministic_tanh"):
    """One action in [-1, 1]: ``[n] -> [a]``, ``tanh(W x + b)``. Source: Lillicrap et al., arXiv:1509.02971."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "deterministic_tanh"}
    produces: ClassVar[str] = "deterministic_action"

    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [a, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [a]."""

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``; a tanh counts one operation an entry."""
        child = linear_outline(self.kind, shape, actions, self.weight, self.bias_init)
        return Outline(self.kind, shape, (actions,), children={"linear": child}, flops=actions)

    def module(self, shape: Shape, actions: int) -> Call:
        """``composer.nn.heads.DeterministicTanhHead``: returns actions [B, a]."""
        features = self.outline(shape, actions).input[0]
        return call("composer.nn.heads:DeterministicTanhHead", features, actions)
