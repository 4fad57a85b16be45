"""The base of norms: the features of a sample, and a gain and a shift for each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

from pydantic_core import PydanticCustomError
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


def gain_and_shift(width: int, shares_norm: bool = False) -> dict[str, ParameterPlan]:
    """Plans of ``weight`` [width], initially 1, and ``bias`` [width], initially 0; perhaps kept at a joint norm."""
    found = {
        "weight": plan((width,), Ones(), width, width, "affine"),
        "bias": plan((width,), Zeros(), width, width, "affine"),
    }
    return {name: replace(each, shares_norm=tuple(found)) for name, each in found.items()} if shares_norm else found


def check_gain(unit_norm: bool, affine: bool) -> None:
    """Raises PydanticCustomError where a norm is to be kept and there is no gain."""
    if unit_norm and not affine:
        raise PydanticCustomError("norm_of_no_gain", "'unit_norm' keeps the norm of gains; 'affine = false' has none")


class Norm(Block, abstract=True):
    """A norm of features, then a gain and a shift for each; any shape, which is kept."""

    units = "keeps"
    operations: ClassVar[int]
    """Operations per entry without gain and shift, which are two more."""

    affine: bool = True
    """Whether a learned gain (initially 1) and shift (initially 0) per feature follow."""

    @property
    def keeps_norm(self) -> bool:
        """Whether gain and shift are kept at a joint norm."""
        return False

    def buffers(self, width: int) -> dict[str, BufferPlan]:
        """Running statistics of ``width`` features."""
        return {}

    @override
    def outline(self, shape: Shape) -> Outline:
        width = features(shape, self.kind)[0] if self.axis is None else shape[self.axis]
        parameters = gain_and_shift(width, self.keeps_norm) if self.affine else {}
        flops = (self.operations + 2 * self.affine) * math.prod(shape)
        return Outline(self.kind, shape, shape, parameters, flops=flops, buffers=self.buffers(width))
