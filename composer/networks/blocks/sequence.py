"""Blocks one after another. Tests: tests/networks/test_blocks.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.blocks.base import Block
from composer.networks.blocks.gradients import check_reached
from composer.networks.outline import Outline
from composer.spec.family import Items
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, located


class Sequence(Block, kind="sequence"):
    """Blocks applied in order, each on the output of the one before; a plain list means the same.

    Shapes compose: ``[a] -> [b] -> [c]``.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "sequence",
        "layers": [{"kind": "linear", "width": 64}, {"kind": "relu"}, {"kind": "linear", "width": 32}],
    }
    is_chain = True

    layers: Annotated[Items[Block], Field(max_length=256)]
    """The blocks, first to last."""

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        # Not min_length: pydantic counts only the valid entries of a tuple, so that one bad block would be two errors.
        if not layers:
            raise PydanticCustomError("sequence_empty", "a sequence needs at least one block")
        return layers

    @override
    def with_child(self, name: str, change: Callable[[Block], Block]) -> Block:
        layers = [change(layer) if str(index) == name else layer for index, layer in enumerate(self.layers)]
        return self.model_copy(update={"layers": tuple(layers)})

    @override
    def appended(self, block: Block) -> Block:
        return self.model_copy(update={"layers": (*self.layers, block)})

    @override
    def tail(self) -> Block | None:
        *before, last = self.layers
        if last.is_activation and before and before[-1].units == "makes":
            return Sequence(layers=(before[-1], last))
        return None if last.is_activation else last.tail() or last

    @property
    @override
    def memory_size(self) -> int:
        return sum(layer.memory_size for layer in self.layers)

    def outline(self, shape: Shape) -> Outline:
        """Children ``0``, ``1``, ... in order."""
        children: dict[str, Outline] = {}
        output = shape
        for position, layer in enumerate(self.layers):
            with located("layers", position):
                child = layer.outline(output)
                check_reached(children.values(), child)
            children[str(position)] = child
            output = child.output
        stops = any(child.stops_gradients for child in children.values())
        return Outline(self.kind, shape, output, children=children, stops_gradients=stops)

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Sequential``, or one with a memory."""
        target = "composer.networks.modules.recurrent:RecurrentSequence" if self.memory_size else "torch.nn:Sequential"
        inputs = [child.input for child in self.outline(shape).children.values()]
        return call(target, *map(lambda layer, taken: layer.module(taken), self.layers, inputs))
