"""Learned embeddings of positions. Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, plan
from composer.networks.blocks.tokens import sequence
from composer.networks.initializers import Initializer, Normal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class PositionEmbedding(Block, kind="position_embedding"):
    """A learned vector for each position, added to its token: ``[t, d] -> [t, d]``.

    One operation per entry. Source: Dosovitskiy et al., arXiv:2010.11929, Eq. 1; standard deviation 0.02 as in BERT
    (arXiv:1810.04805) and ViT's released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "position_embedding"}
    example_input: ClassVar[Shape] = (3, 16)

    weight: Initializer = Normal(std=0.02)
    """Initialiser of the vectors, shape [t, d]."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``weight`` [t, d], its fans t and d."""
        count, width = sequence(shape, self.kind)
        parameters = {"weight": plan((count, width), self.weight, count, width, "weight")}
        return Outline(self.kind, shape, shape, parameters, flops=count * width)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.PositionEmbedding``."""
        return call("composer.networks.modules.tokens:PositionEmbedding", *sequence(shape, self.kind))
