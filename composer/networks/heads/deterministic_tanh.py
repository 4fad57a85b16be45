"""The head of a deterministic policy. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class DeterministicTanh(OneLayerHead, kind="deterministic_tanh"):
    """One action in [-1, 1]: ``[n] -> [a]``, ``tanh(W x + b)``. Source: Lillicrap et al., arXiv:1509.02971."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "deterministic_tanh"}

    @property
    @override
    def produces(self) -> str:
        return "deterministic_action"

    @override
    def outputs(self, actions: int) -> Shape:
        return (actions,)

    @override
    def outline(self, shape: Shape, actions: int) -> Outline:
        return replace(super().outline(shape, actions), flops=actions)  # One of each tanh.

    @override
    def module(self, shape: Shape, actions: int) -> LazyCall:
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DeterministicTanhHead", self.layer_call(shape, actions))
