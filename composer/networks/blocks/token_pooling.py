"""From tokens to one vector. Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import MAX_WIDTH, Block
from composer.networks.blocks.tokens import sequence
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class SelectToken(Block, kind="select_token"):
    """One of the tokens: ``[t, d] -> [d]``; it computes nothing. Index 0 reads what ``class_token`` put there."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "select_token", "index": 0}
    example_input: ClassVar[Shape] = (3, 16)

    index: Annotated[int, Field(ge=-MAX_WIDTH, lt=MAX_WIDTH)] = 0
    """Its place, from 0; from -1 backwards."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` where there are too few tokens."""
        count, width = sequence(shape, self.kind)
        if not -count <= self.index < count:
            raise ShapeError(f"no token {self.index} among {count}", ("index",))
        return Outline(self.kind, shape, (width,))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.SelectToken``."""
        self.outline(shape)
        return call("composer.networks.modules.tokens:SelectToken", self.index)


class MeanTokens(Block, kind="mean_tokens"):
    """The mean of all tokens: ``[t, d] -> [d]``. One operation per entry."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "mean_tokens"}
    example_input: ClassVar[Shape] = (3, 16)

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        count, width = sequence(shape, self.kind)
        return Outline(self.kind, shape, (width,), flops=count * width)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.MeanTokens``."""
        sequence(shape, self.kind)
        return call("composer.networks.modules.tokens:MeanTokens")
