"""The residual connection as a learned interpolation.

Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.blocks.base import Block, last_axis, plan
from composer.networks.blocks.residual import keeping_shape
from composer.networks.blocks.scaler import Factor
from composer.networks.initializers import Constant
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class LerpResidual(Block, kind="lerp_residual"):
    """Part of the way from the input to a block of it: ``y = x + a (block(x) - x)``, any shape that the block keeps.

    ``a = (alpha_init / alpha_scale) alpha`` is a learned vector over the last axis [n]; ``alpha`` starts at
    ``alpha_scale``, so that ``a`` starts at ``alpha_init``. The published blocks normalise before and after:
    ``unit_norm`` ends the block and follows it. Three operations per entry.
    Source: nGPT, arXiv:2410.01131; SimbaV2, arXiv:2502.15280.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "lerp_residual",
        "alpha_init": 0.5,
        "alpha_scale": 0.25,
        "block": [{"kind": "linear", "expansion": 1, "unit_norm": "rows"}, {"kind": "relu"}, {"kind": "unit_norm"}],
    }

    block: Block
    """What is interpolated towards; its output has the input's shape."""
    alpha_init: Annotated[float, Field(gt=0, le=1)]
    """First part of the way: 0 is the input, 1 the block."""
    alpha_scale: Factor = 1.0
    """First value of the parameter; its smallness speeds up ``a`` under Adam, as in ``scaler``."""
    magnitude: bool = False
    """Whether the magnitude of ``a`` is taken, as nGPT does and SimbaV2 does not."""

    @override
    def without(self) -> Block:
        """The block alone."""
        return self.block

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``alpha`` [n] and child ``block``; raises ``ShapeError`` where that changes the shape."""
        width = last_axis(shape, self.kind)
        child = keeping_shape(self.block, shape)
        alpha = plan((width,), Constant(value=self.alpha_scale), width, width, "alpha_scale")
        return Outline(
            self.kind,
            shape,
            shape,
            {"alpha": alpha},
            {"block": child},
            3 * math.prod(shape),
            layout="residual",
            join="lerp",
        )

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.skip.LerpSkip``."""
        width = self.outline(shape).input[-1]
        block = self.block.module(shape)
        options = {"magnitude": True} if self.magnitude else {}
        return call(
            "composer.networks.modules.skip:LerpSkip", block, width, self.alpha_init, self.alpha_scale, **options
        )
