"""The head of a deterministic policy. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.heads.base import Head
from composer.networks.heads.layers import dense, dense_call, features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class DeterministicTanh(Head, kind="deterministic_tanh"):
    """One action in [-1, 1]: ``[n] -> [a]``, ``tanh(W x + b)``. Source: Lillicrap et al., arXiv:1509.02971."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "deterministic_tanh"}
    is_chain = True

    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [a, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [a]."""
    unit_norm: bool = False
    """Whether the weights of each output are kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """An action."""
        return "deterministic_action"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``; a tanh counts one operation an entry."""
        features(self.kind, shape)
        return Outline(self.kind, shape, (actions,), children={"linear": dense(self, shape, actions)}, flops=actions)

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DeterministicTanhHead``: returns actions [B, a]."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DeterministicTanhHead", dense_call(shape, actions))
