"""Sines and cosines as an activation. Tests: tests/papers/test_plastic_activations.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from composer.networks.blocks.base import Block
from composer.networks.blocks.sizes import feature_axis, resized, within_bounds
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class SineCosine(Block, kind="sine_cosine"):
    """Sine and cosine side by side: ``[n] -> [2 n]``, ``(sin x, cos x)``: the activation of deep Fourier features.

    At every input one of the two has a slope of at least ``1 / sqrt 2``, so that no unit is ever saturated. It doubles
    the last axis, or the channels of an image ``[c, h, w]``: give the layer before it half of its width. Two operations
    per entry of the input. Source: Lewandowski et al., arXiv:2410.20634, who use it in every layer and regularise it.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "sine_cosine"}
    is_activation: ClassVar[bool] = True

    def outline(self, shape: Shape) -> Outline:
        """No parameters; raises ``ShapeError`` where twice the features are too many."""
        axis = feature_axis(shape, self.kind)
        width = within_bounds(2 * shape[axis], f"2 x {shape[axis]}")
        return Outline(self.kind, shape, resized(shape, axis, width), flops=2 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.sine_cosine.SineCosine``."""
        self.outline(shape)
        return call("composer.networks.modules.sine_cosine:SineCosine", feature_axis(shape, self.kind))
