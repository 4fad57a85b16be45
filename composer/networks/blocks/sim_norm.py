"""Softmax over groups of features. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, Width, last_axis
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape, ShapeError


class SimNorm(Block, kind="sim_norm"):
    """Groups of consecutive features, a softmax inside each: ``[..., n] -> [..., n]``, each group sums to 1.

    Four operations per entry. Source: Hansen et al., TD-MPC2, arXiv:2310.16828, Eq. 5, at temperature 1 as in its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "sim_norm", "group": 8}
    units = "keeps"
    axis = -1
    normalises = "sample"

    group: Width = 8
    """Features of a group; a divisor of their number."""

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        width = last_axis(shape, self.kind)
        if width % self.group:
            raise ShapeError(f"{width} features cannot be dealt into groups of {self.group}")
        return Outline(self.kind, shape, shape, flops=4 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.sim_norm.SimNorm``."""
        self.outline(shape)
        return call("composer.networks.modules.sim_norm:SimNorm", group=self.group)
