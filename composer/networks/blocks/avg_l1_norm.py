"""Division by the mean magnitude of features. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, last_axis
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class AvgL1Norm(Block, kind="avg_l1_norm"):
    """Mean magnitude 1 over the last axis: ``[..., n] -> [..., n]``, ``x / max(mean |x|, 1e-8)``.

    A vector of zeros stays one. Three operations per entry. Source: TD7, Fujimoto et al., arXiv:2306.02451, Eq. 3.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "avg_l1_norm"}
    units = "keeps"
    axis = -1
    normalises = "sample"

    def outline(self, shape: Shape) -> Outline:
        """No parameters."""
        last_axis(shape, self.kind)
        return Outline(self.kind, shape, shape, flops=3 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.avg_l1_norm.AvgL1Norm``."""
        last_axis(shape, self.kind)
        return call("composer.networks.modules.avg_l1_norm:AvgL1Norm")
