"""Widths of outputs, the bound that all of them keep, and the axis of features.

Tests: tests/networks/test_blocks.py, tests/papers/test_vector_blocks.py.
"""

from __future__ import annotations

from composer.networks.blocks.base import MAX_WIDTH, last_axis
from composer.spec.shape import Shape, ShapeError


def within_bounds(width: int, sum_: str, *steps: str | int) -> int:
    """``width``; raises ``ShapeError`` at ``steps``, showing the ``sum_`` that gave it, where it is too wide."""
    if width > MAX_WIDTH:
        raise ShapeError(f"{sum_} = {width} is wider than {MAX_WIDTH}", steps)
    return width


def feature_axis(shape: Shape, kind: str) -> int:
    """The axis that holds features, counted from the last: channels of an image, else the last axis.

    Raises ``ShapeError`` for a scalar input, which has none.
    """
    last_axis(shape, kind)
    return -3 if len(shape) == 3 else -1


def resized(shape: Shape, axis: int, size: int) -> Shape:
    """``shape`` with another size along ``axis``, counted from the last."""
    position = len(shape) + axis
    return (*shape[:position], size, *shape[position + 1 :])
