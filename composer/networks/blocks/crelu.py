"""Concatenated rectification. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.blocks.sizes import feature_axis, resized, within_bounds
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class CRelu(Block, kind="crelu"):
    """Positive and negative parts side by side: ``[n] -> [2 n]``, ``(max(x, 0), max(-x, 0))``.

    It doubles the last axis, or the channels of an image ``[c, h, w]``. Three operations per entry of the input.
    Source: Shang et al., arXiv:1603.05201.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "crelu"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` where twice the features are too many."""
        axis = feature_axis(shape, self.kind)
        width = within_bounds(2 * shape[axis], f"2 x {shape[axis]}")
        return Outline(self.kind, shape, resized(shape, axis, width), flops=3 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.crelu.CReLU``."""
        self.outline(shape)
        return call("composer.networks.modules.crelu:CReLU", feature_axis(shape, self.kind))
