"""The head of a value network. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Scalar(OneLayerHead, kind="scalar"):
    """One number per sample, without a trailing axis: ``[n] -> []``; a state or state-action value."""

    gives_expectation: ClassVar[bool] = True
    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "scalar"}

    @property
    @override
    def produces(self) -> str:
        return "value"

    @override
    def outputs(self, actions: int) -> Shape:
        return ()

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Point``: the value itself."""
        return call("composer.algorithms.losses.returns:Point")
