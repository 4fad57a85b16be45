"""Running-statistics normalisation inside a network.

Tests: tests/networks/test_blocks.py, tests/papers/test_running_norm.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block, Epsilon
from composer.networks.outline import BufferPlan, Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class RsNorm(Block, kind="rs_norm"):
    """Running-statistics norm: ``(x - mean) / sqrt(variance + epsilon)`` per coordinate, any shape; no parameters.

    The moments are the population's of every batch that a training pass has shown, merged by Chan's formula from mean
    0, variance 1 and a weight of 1e-4; a pass takes its batch in, then normalises. Not ``normalization.observation``,
    which counts every environment step once, in float64, for all networks together: here a network counts every sample
    each time it is trained on it, in float32 buffers that averages of the network average. Two operations per entry.
    Source: Lee et al., arXiv:2410.09754, Eq. 2 to 4.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rs_norm"}
    units = "keeps"
    normalises = "running"

    epsilon: Epsilon = 1e-8
    """Added to the variance, inside the root."""

    def outline(self, shape: Shape) -> Outline:
        """Statistics ``mean`` and ``variance`` of the input's shape, and ``count``, the samples that they weigh."""
        buffers = {
            "mean": BufferPlan("statistic", shape),
            "variance": BufferPlan("statistic", shape, start=1.0),
            "count": BufferPlan("statistic", start=1e-4),
        }
        return Outline(self.kind, shape, shape, flops=2 * math.prod(shape), buffers=buffers)

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.running_norm.RunningNorm``."""
        return call("composer.networks.modules.running_norm:RunningNorm", shape, self.epsilon)
