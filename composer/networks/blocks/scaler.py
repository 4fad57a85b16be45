"""A learned factor for each feature. Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.blocks.base import Block, last_axis, plan
from composer.networks.initializers import Constant
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Factor = Annotated[float, Field(gt=0, le=1e6)]


class Scaler(Block, kind="scaler"):
    """A learned factor for each feature: ``[..., n] -> [..., n]``, ``y = (init / scale) s x``.

    ``s`` starts at ``scale``, so that the factor starts at ``init``; an optimizer whose steps do not follow the size
    of gradients, such as Adam, moves the factor ``init / scale`` times as far. Two operations per entry.
    Source: nGPT, arXiv:2410.01131; SimbaV2, arXiv:2502.15280.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "scaler", "init": 0.5, "scale": 0.25}
    units = "keeps"
    axis = -1

    init: Factor = 1.0
    """First value of the factor."""
    scale: Factor = 1.0
    """First value of the parameter."""

    def outline(self, shape: Shape) -> Outline:
        """Parameter ``scaler`` [n]."""
        width = last_axis(shape, self.kind)
        parameters = {"scaler": plan((width,), Constant(value=self.scale), width, width, "scale")}
        return Outline(self.kind, shape, shape, parameters, flops=2 * math.prod(shape))

    def module(self, shape: Shape) -> LazyCall:
        """``composer.networks.modules.scaler.Scaler``."""
        return call("composer.networks.modules.scaler:Scaler", last_axis(shape, self.kind), self.init, self.scale)
