"""A block on the first entries of a vector. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, Width
from composer.networks.blocks.sizes import within_bounds
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located


class ExceptLast(Block, kind="except_last"):
    """A block on all entries of a vector but the last ``size``, which pass: ``[n] -> [m + size]``.

    The output of the block comes first. For networks whose input joins raw values and features that an encoder has made
    of them already, such as the actor and the critics of TD7 (arXiv:2306.02451). It computes nothing itself.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "except_last",
        "size": 4,
        "block": [{"kind": "linear", "width": 8}, {"kind": "relu"}],
    }

    size: Width
    """Entries that pass unchanged."""
    block: Block
    """What the others go through; vectors to vectors."""

    def outline(self, shape: Shape) -> Outline:
        """Child ``block``; raises ``ShapeError`` where nothing is left for it, or it gives no vector."""
        if len(shape) != 1 or shape[0] <= self.size:
            raise ShapeError(f"{self.kind!r} takes a vector of more than {self.size} entries, got {list(shape)}")
        with located("block"):
            child = self.block.outline((shape[0] - self.size,))
            if len(child.output) != 1:
                raise ShapeError(f"the block must give a vector, got {list(child.output)}")
        width = within_bounds(child.output[0] + self.size, f"{child.output[0]} + {self.size}")
        return Outline(self.kind, shape, (width,), children={"block": child}, layout="bypass", join="concatenate")

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.except_last.ExceptLast``."""
        self.outline(shape)
        return call(
            "composer.networks.modules.except_last:ExceptLast",
            self.block.module((shape[0] - self.size,)),
            self.size,
        )
