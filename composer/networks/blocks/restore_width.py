"""A block, then a dense layer back to the width that it was given.

Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, last_axis
from composer.networks.blocks.linear import Linear
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


class RestoreWidth(Block, kind="restore_width"):
    """A block and a dense layer that gives its last axis the input's width again: ``[..., n] -> [..., n]``.

    For feed-forward layers inside ``residual`` and experts, which so need not say the width that they are used at.
    Operations of the dense layer: two per weight, one per bias. Source: position-wise layers, arXiv:1706.03762, Eq. 2.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "restore_width",
        "block": [{"kind": "linear", "expansion": 4}, {"kind": "gelu"}],
    }
    is_chain = True

    block: Block
    """The block before the dense layer."""
    bias: bool = True
    """Whether the dense layer adds a bias."""
    weight: Initializer = Orthogonal()
    """Initialiser of the dense layer's weight, shape [n, the block's width]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the dense layer's bias, shape [n]; it counts the weight's fans."""

    def outline(self, shape: Shape) -> Outline:
        """Children ``0``, the block, and ``1``, the dense layer."""
        width = last_axis(shape, self.kind)
        with located("block"):
            inner = self.block.outline(shape)
        back = self._back(width).outline(inner.output)
        children, stops = {"0": inner, "1": back}, inner.stops_gradients
        return Outline(self.kind, shape, back.output, children=children, stops_gradients=stops)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Sequential``."""
        inner = self.outline(shape).children["0"].output
        return call("torch.nn:Sequential", self.block.module(shape), self._back(shape[-1]).module(inner))

    def _back(self, width: int) -> Linear:
        # Its initialisers have the names of ours, so that its errors lead to our keys.
        return Linear(width=width, bias=self.bias, weight=self.weight, bias_init=self.bias_init)
