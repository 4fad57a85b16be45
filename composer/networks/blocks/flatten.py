"""From any shape to a vector. Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, last_axis
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Flatten(Block, kind="flatten"):
    """All entries as one vector, last axis fastest: ``[c, h, w] -> [c h w]``; it computes nothing."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "flatten"}
    example_input: ClassVar[Shape] = (4, 3, 3)
    units = "keeps"

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        last_axis(shape, self.kind)
        return Outline(self.kind, shape, (math.prod(shape),))

    def module(self, shape: Shape) -> LazyCall:
        """``torch.nn.Flatten`` of the sample's axes, counted from the last."""
        last_axis(shape, self.kind)
        return call("torch.nn:Flatten", -len(shape))
