"""The base of norms: the features of a sample, and a gain and a shift for each."""

from __future__ import annotations

import math
from typing import ClassVar

from typing_extensions import override

from composer.networks.blocks.base import Block, plan
from composer.networks.blocks.sizes import feature_axis
from composer.networks.initializers import Ones, Zeros
from composer.networks.outline import BufferPlan, Outline, ParameterPlan
from composer.spec.shape import Shape


def features(shape: Shape, kind: str) -> tuple[int, int]:
    """How many features a sample has, and how many axes follow theirs: (c, 2) for ``[c, h, w]``, (n, 0) otherwise."""
    axis = feature_axis(shape, kind)
    return shape[axis], -1 - axis


def gain_and_shift(width: int) -> dict[str, ParameterPlan]:
    """Plans of ``weight`` [width], initially 1, and ``bias`` [width], initially 0."""
    return {
        "weight": plan((width,), Ones(), width, width, "affine"),
        "bias": plan((width,), Zeros(), width, width, "affine"),
    }


class Norm(Block, abstract=True):
    """A norm of features, then a gain and a shift for each; any shape, which is kept."""

    units = "keeps"
    operations: ClassVar[int]
    """Operations per entry without gain and shift, which are two more."""

    affine: bool = True
    """Whether a learned gain (initially 1) and shift (initially 0) per feature follow."""

    def buffers(self, width: int) -> dict[str, BufferPlan]:
        """Running statistics of ``width`` features."""
        return {}

    @override
    def outline(self, shape: Shape) -> Outline:
        width = features(shape, self.kind)[0] if self.axis is None else shape[self.axis]
        parameters = gain_and_shift(width) if self.affine else {}
        flops = (self.operations + 2 * self.affine) * math.prod(shape)
        return Outline(self.kind, shape, shape, parameters, flops=flops, buffers=self.buffers(width))
