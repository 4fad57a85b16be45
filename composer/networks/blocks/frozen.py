"""A block that does not learn. Tests: tests/networks/test_blocks.py, tests/networks/test_frozen.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


class Frozen(Block, kind="frozen"):
    """A block whose parameters stay as they were drawn; gradients pass through it to what comes before.

    Optimizers, weight decay and projections leave the parameters alone; batch statistics go on.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "frozen",
        "block": [{"kind": "linear", "width": 32}, {"kind": "relu"}],
    }
    is_chain = True

    block: Block
    """The block to freeze."""

    def outline(self, shape: Shape) -> Outline:
        """Child ``block``, none of its parameters trainable."""
        with located("block"):
            child = self.block.outline(shape)
        children = {"block": child.frozen()}
        return Outline(self.kind, shape, child.output, children=children, stops_gradients=child.stops_gradients)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.frozen.Frozen``."""
        self.outline(shape)
        return call("composer.networks.modules.frozen:Frozen", self.block.module(shape))
