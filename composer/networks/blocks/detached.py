"""A block that passes no gradient to the blocks before it.

Tests: tests/networks/test_blocks.py, tests/networks/test_frozen.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


class Detached(Block, kind="detached"):
    """A block that learns, of an input that does not learn from it: no gradient flows back to what comes before.

    It is for a branch beside another; where it would leave what comes before without any gradient, it is refused.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "detached",
        "block": [{"kind": "linear", "width": 32}, {"kind": "relu"}],
    }
    is_chain = True

    block: Block
    """The block on the detached input."""

    def outline(self, shape: Shape) -> Outline:
        """Child ``block``."""
        with located("block"):
            child = self.block.outline(shape)
        return Outline(self.kind, shape, child.output, children={"block": child}, stops_gradients=True)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.frozen.Detached``."""
        self.outline(shape)
        return call("composer.networks.modules.frozen:Detached", self.block.module(shape))
