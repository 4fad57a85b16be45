"""The same block several times, each copy with its own parameters. Tests: tests/networks/test_blocks.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import MAX_BLOCKS, Block, count_blocks
from composer.networks.blocks.gradients import check_reached
from composer.networks.blocks.sequence import Sequence
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class Repeat(Block, kind="repeat"):
    """A block ``times`` times in a row, every copy with parameters of its own; 0 times is the identity.

    A copy takes the output of the one before: the first may change the shape, if the others accept its output.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "repeat",
        "times": 2,
        "block": [{"kind": "linear", "width": 64}, {"kind": "relu"}],
    }
    is_chain = True

    times: Annotated[int, Field(ge=0, le=256)]
    """Number of copies."""
    block: Block
    """The block to repeat."""

    def repeats(self) -> int:
        """``times``."""
        return self.times

    @override
    def with_child(self, name: str, change: Callable[[Block], Block]) -> Block | None:
        return self._written_out().with_child(name, change)

    @override
    def appended(self, block: Block) -> Block | None:
        if block == self.block:
            return self.model_copy(update={"times": self.times + 1})
        return self._written_out().appended(block) if self.times else None

    @override
    def tail(self) -> Block:
        return self.block

    def outline(self, shape: Shape) -> Outline:
        """Children ``0``, ``1``, ...; raises ``ShapeError`` where a copy cannot take its shape or they are too many."""
        children: dict[str, Outline] = {}
        output = shape
        for copy in range(self.times):
            child = self._copy(copy, output, children.values())
            if copy == 0 and self.times * count_blocks(child) > MAX_BLOCKS:
                raise ShapeError(f"{self.times} x {count_blocks(child)} blocks are more than {MAX_BLOCKS}", ("times",))
            children[str(copy)] = child
            output = child.output
        stops = any(child.stops_gradients for child in children.values())
        return Outline(self.kind, shape, output, children=children, stops_gradients=stops)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Sequential`` of independent modules."""
        inputs = [child.input for child in self.outline(shape).children.values()]
        return call("torch.nn:Sequential", *map(self.block.module, inputs))

    def _written_out(self) -> Sequence:
        return Sequence(layers=(self.block,) * self.times)

    def _copy(self, copy: int, shape: Shape, before: Iterable[Outline]) -> Outline:
        try:
            child = self.block.outline(shape)
            check_reached(before, child)
            return child
        except ShapeError as error:
            # The first copy's error is the block's own; a later one comes from repeating, which the file does not show.
            note = f" (in copy {copy + 1} of {self.times})" if copy else ""
            raise ShapeError(error.message + note, ("block", *error.steps)) from None
