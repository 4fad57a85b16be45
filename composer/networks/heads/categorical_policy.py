"""The head of a policy over discrete actions. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead
from composer.spec.shape import Shape


class CategoricalPolicy(OneLayerHead, kind="categorical_policy"):
    """Logits of each discrete action's probability: ``[n] -> [a]``. Source: A3C, Mnih et al., arXiv:1602.01783."""

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "categorical_policy"}

    @property
    @override
    def produces(self) -> str:
        return "action_logits"

    @override
    def outputs(self, actions: int) -> Shape:
        return (actions,)
