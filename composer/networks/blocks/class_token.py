"""A learned token that summarises the others. Tests: tests/networks/test_blocks.py, tests/papers/test_tokens.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, plan
from composer.networks.blocks.sizes import within_bounds
from composer.networks.blocks.tokens import sequence
from composer.networks.initializers import Initializer, Normal
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class ClassToken(Block, kind="class_token"):
    """A learned token put before the others, the same for every sample: ``[t, d] -> [t + 1, d]``.

    After blocks in which tokens meet, ``select_token`` reads it. One operation per entry of it, which is copied.
    Source: Dosovitskiy et al., arXiv:2010.11929, Eq. 1 and 4; BERT, arXiv:1810.04805.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "class_token"}
    example_input: ClassVar[Shape] = (3, 16)

    weight: Initializer = Normal(std=0.02)
    """Initialiser of the token, shape [d]."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``weight`` [d], both its fans d."""
        count, width = sequence(shape, self.kind)
        parameters = {"weight": plan((width,), self.weight, width, width, "weight")}
        return Outline(self.kind, shape, (within_bounds(count + 1, f"{count} + 1"), width), parameters, flops=width)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.tokens.ClassToken``."""
        self.outline(shape)
        return call("composer.networks.modules.tokens:ClassToken", shape[1])
