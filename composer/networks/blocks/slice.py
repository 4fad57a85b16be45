"""Some of the entries of a vector. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import MAX_WIDTH, Block, Width
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class Slice(Block, kind="slice"):
    """Consecutive entries of a vector: ``[n] -> [stop - start]``; it computes nothing.

    In a branch of ``parallel``, so that parts of a joined input pass through layers of their own.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "slice", "start": 4, "stop": 12}

    start: Annotated[int, Field(ge=0, le=MAX_WIDTH)] = 0
    """The first entry, counted from 0."""
    stop: Width | None = None
    """The entry after the last one; absent: all to the end."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` unless the input is a vector that has these entries."""
        if len(shape) != 1:
            raise ShapeError(f"{self.kind!r} takes a vector; its input has shape {list(shape)}")
        stop = shape[0] if self.stop is None else self.stop
        if not self.start < stop <= shape[0]:
            raise ShapeError(f"no entries from {self.start} to {stop} in a vector of {shape[0]}")
        return Outline(self.kind, shape, (stop - self.start,))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.slice.Slice``."""
        return call("composer.networks.modules.slice:Slice", self.start, self.outline(shape).output[0])
