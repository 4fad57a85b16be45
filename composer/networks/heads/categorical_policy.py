"""The head of a policy over discrete actions. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.heads.base import Head
from composer.networks.heads.layers import dense, dense_call, features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class CategoricalPolicy(Head, kind="categorical_policy"):
    """Logits of each discrete action's probability: ``[n] -> [a]``. Source: A3C, Mnih et al., arXiv:1602.01783."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "categorical_policy"}
    is_chain = True

    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [a, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [a]."""
    unit_norm: bool = False
    """Whether the weights of each action are kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """Logits of actions."""
        return "action_logits"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``."""
        features(self.kind, shape)
        return Outline(self.kind, shape, (actions,), children={"linear": dense(self, shape, actions)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns logits [B, a]."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DenseHead", dense_call(shape, actions), (actions,))
