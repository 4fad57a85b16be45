"""Features of a sample as normalisation sees them: their axis, and a gain and a shift for each."""

from __future__ import annotations

from composer.networks.blocks.base import plan
from composer.networks.blocks.sizes import feature_axis
from composer.networks.initializers import Ones, Zeros
from composer.networks.outline import ParameterPlan
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
