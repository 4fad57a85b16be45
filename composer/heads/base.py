"""The family of heads: the last map of a network, from a trunk's features to what an algorithm reads.

Tests: tests/contracts/test_heads.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from composer.blocks.linear import Linear
from composer.calls import Call
from composer.initializers import Initializer
from composer.shapes import Outline, Shape, ShapeError
from composer.spec import Family

if TYPE_CHECKING:
    from torch import nn


class Head(Family, family="head"):
    """What a network returns; ``produces`` names it, so that an algorithm can refuse a head it cannot read."""

    produces: ClassVar[str]

    @abstractmethod
    def outline(self, shape: Shape, actions: int) -> Outline:
        """What this head is on features of ``shape``; ``actions`` is the action size. Raises ``ShapeError``."""

    @abstractmethod
    def module(self, shape: Shape, actions: int) -> Call:
        """The module as a tree of constructor calls, its parameters and buffers those of the outline."""

    def build(self, shape: Shape, actions: int) -> nn.Module:
        """The module itself, best under ``torch.device("meta")``; raises ``ShapeError`` as ``outline`` does."""
        built: nn.Module = self.module(shape, actions).make()
        return built


def linear_outline(kind: str, shape: Shape, width: int, weight: Initializer, bias_init: Initializer) -> Outline:
    """Outline of a head's dense layer; its errors name the head's own fields, which carry the same names.

    Raises ``ShapeError`` unless the trunk's output is a vector.
    """
    if len(shape) != 1:
        raise ShapeError(f"the head {kind!r} takes a vector; the trunk's output has shape {list(shape)}")
    return Linear(width=width, weight=weight, bias_init=bias_init).outline(shape)
