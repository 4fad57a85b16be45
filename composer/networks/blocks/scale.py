"""A fixed change of units. Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class Scale(Block, kind="scale"):
    """``factor * x + shift`` with constants, any shape; integers become floats.

    A factor of 1/255 brings the bytes of pixels into [0, 1]. Two operations per entry.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "scale", "factor": 0.00392156862745098}
    units = "keeps"

    factor: Annotated[float, Field(ge=-1e6, le=1e6)]
    """Factor on every entry."""
    shift: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """Added after the factor."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        return Outline(self.kind, shape, shape, flops=2 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.scale.Scale``."""
        return call("composer.networks.modules.scale:Scale", self.factor, self.shift)
