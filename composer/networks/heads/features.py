"""The head that adds nothing to a trunk. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.heads.base import Head
from composer.networks.heads.layers import features
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Features(Head, kind="features"):
    """The trunk's output itself: ``[n] -> [n]``, for networks between networks, such as SPR's. No parameters."""

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "features"}
    is_chain = True

    @property
    @override
    def produces(self) -> str:
        return "features"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """No children; the action size plays no part."""
        features(self.kind, shape)
        return Outline(self.kind, shape, shape)

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``torch.nn.Identity``."""
        self.outline(shape, actions)
        return call("torch.nn:Identity")
