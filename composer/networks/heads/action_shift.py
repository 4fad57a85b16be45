"""The head that shifts the mean of another policy. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from typing_extensions import override

from composer.networks.blocks.linear import Linear
from composer.networks.heads.dense import OneLayerHead
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class ActionShift(OneLayerHead, kind="action_shift"):
    """A number for each action dimension, added to the mean of a policy: ``[n] -> [a]``, ``W x`` without a bias.

    The optimistic actor of BRO has it, with a weight drawn small. Source: Nauman et al., arXiv:2405.16158.
    """

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "action_shift"}

    @property
    @override
    def produces(self) -> str:
        return "action_shift"

    @override
    def outputs(self, actions: int) -> Shape:
        return (actions,)

    @override
    def layer(self, shape: Shape, width: int) -> Outline:
        norm: Literal["rows"] | None = "rows" if self.unit_norm else None
        return Linear(width=width, weight=self.weight, bias=False, unit_norm=norm).outline(shape)

    @override
    def layer_call(self, shape: Shape, width: int) -> LazyCall:
        return call("torch.nn:Linear", shape[-1], width, bias=False)
