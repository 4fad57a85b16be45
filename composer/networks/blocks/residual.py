"""The residual connection. Tests: tests/networks/test_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located


class Residual(Block, kind="residual"):
    """The input plus a block of it: ``y = x + block(x)``, any shape that the block keeps.

    One operation per entry. Source: He et al., arXiv:1512.03385.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "residual",
        "block": [{"kind": "layer_norm"}, {"kind": "linear", "expansion": 1}, {"kind": "tanh"}],
    }

    block: Block
    """What is added to the input; its output has the input's shape."""

    @override
    def without(self) -> Block:
        """The block alone."""
        return self.block

    def outline(self, shape: Shape) -> Outline:
        """Child ``block``; raises ``ShapeError`` where it changes the shape."""
        child = keeping_shape(self.block, shape)
        return Outline(
            self.kind,
            shape,
            shape,
            children={"block": child},
            flops=math.prod(shape),
            layout="residual",
            join="sum",
        )

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.skip.Skip``."""
        self.outline(shape)
        return call("composer.networks.modules.skip:Skip", self.block.module(shape))


def keeping_shape(block: Block, shape: Shape) -> Outline:
    """The outline of a residual block's ``block``; raises ``ShapeError`` where it changes the shape."""
    with located("block"):
        child = block.outline(shape)
    if child.output != shape:
        changed = f"its input is {list(shape)}, its output {list(child.output)}"
        is_vector = len(shape) == len(child.output) == 1
        mended = f'; end the block with {{ kind = "linear", width = {shape[0]} }}' if is_vector else ""
        raise ShapeError(f"a residual block must keep its shape: {changed}{mended}", ("block",))
    return child
