"""A network: a trunk, a head, and how many independent copies there are of it (two for a clipped double critic).

Tests: tests/papers/test_simba_network.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from composer.networks.blocks import Block, Sequence
from composer.networks.blocks.base import MAX_BLOCKS, declared_blocks
from composer.networks.heads import Head
from composer.networks.outline import Outline
from composer.spec.family import Spec
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError, located
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import nn


class Network(Spec):
    """A trunk and a head. Outline and module describe *one* copy; copies are a leading axis that the learner adds."""

    trunk: Block
    """From the network's input to features."""
    head: Head
    """From features to the outputs that the algorithm reads."""
    copies: Annotated[int, Field(ge=1, le=16), Without(1)] = 1
    """Independent copies, each with parameters of its own."""

    def outline(self, shape: Shape, actions: int) -> Outline:
        """One copy on inputs of ``shape``: children ``trunk`` and ``head``; raises ``ShapeError``."""
        blocks = declared_blocks(self)
        if blocks > MAX_BLOCKS:
            raise ShapeError(f"{blocks:,} blocks; limit {MAX_BLOCKS:,}", ("trunk",))
        with located("trunk"):
            if inner := _memories(self) - self.trunk.memory_size:
                raise ShapeError(
                    f"layers with a memory (of {inner:,} numbers) stand in the trunk's own list of blocks, not inside"
                    " another block, nor in a head"
                )
            trunk = self.trunk.outline(shape)
        with located("head"):
            head = self.head.outline(trunk.output, actions)
        return Outline("network", shape, head.output, children={"trunk": trunk, "head": head})

    @property
    def memory_size(self) -> int:
        """Numbers that one copy carries from one observation of an episode to the next; 0: it has no memory."""
        return self.trunk.memory_size

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """One copy as a tree of constructor calls."""
        features = self.outline(shape, actions).children["trunk"].output
        plain = "composer.networks.modules.trunk_and_head:TrunkAndHead"
        return call(
            "composer.networks.modules.recurrent:RecurrentTrunkAndHead" if self.memory_size else plain,
            self.trunk.module(shape),
            self.head.module(features, actions),
        )

    def build(self, shape: Shape, actions: int) -> nn.Module:
        """One copy as a module with children ``trunk`` and ``head``; raises ``ShapeError`` as ``outline`` does."""
        built: nn.Module = self.module(shape, actions).make()
        return built


def _memories(value: object) -> int:
    """Numbers that all recurrent layers of a spec remember, wherever they stand."""
    inner: Iterable[object] = ()
    if isinstance(value, Sequence):
        inner = value.layers
    elif isinstance(value, Block) and value.memory_size:
        return value.memory_size
    elif isinstance(value, Spec):
        inner = (getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, tuple | list):
        inner = value
    return sum(map(_memories, inner))
