"""Projection onto the unit sphere. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, last_axis
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class UnitNorm(Block, kind="unit_norm"):
    """Unit Euclidean norm over the last axis: ``[..., n] -> [..., n]``, ``x / max(|x|, 1e-8)``.

    A vector of zeros stays one. Three operations per entry. Source: SimbaV2, arXiv:2502.15280; nGPT, arXiv:2410.01131.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "unit_norm"}
    units = "keeps"
    axis = -1
    normalises = "sphere"

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        last_axis(shape, self.kind)
        return Outline(self.kind, shape, shape, flops=3 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.unit_norm.UnitNorm``."""
        last_axis(shape, self.kind)
        return call("composer.networks.modules.unit_norm:UnitNorm")
