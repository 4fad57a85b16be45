"""The block that does nothing. Tests: tests/networks/test_blocks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Identity(Block, kind="identity"):
    """The input itself, any shape: the branch of a ``parallel`` block that passes by the others."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "identity"}
    is_chain = True

    def outline(self, shape: Shape) -> Outline:
        """No parameters, no cost."""
        return Outline(self.kind, shape, shape)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Identity``."""
        return call("torch.nn:Identity")
