"""Values brought into [0, 1], sample by sample.

Tests: tests/networks/test_blocks.py, tests/papers/test_image_blocks.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, Epsilon
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class MinMax(Block, kind="min_max"):
    """``(x - min) / (max - min + epsilon)`` over all entries of a sample, any shape but a scalar's.

    The renormalisation of latents in SPR, arXiv:2007.05929, after MuZero, arXiv:1911.08265; over the whole latent as in
    Dopamine's and BBF's released code. Four operations per entry.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "min_max"}

    epsilon: Epsilon = 1e-5
    """Added to the range."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        if not shape:
            raise ShapeError(f"{self.kind!r} takes a sample of several entries, and its input is a scalar, shape []")
        return Outline(self.kind, shape, shape, flops=4 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.min_max.MinMax``."""
        return call("composer.networks.modules.min_max:MinMax", len(self.outline(shape).input), self.epsilon)
