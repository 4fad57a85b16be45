"""How several outputs become one. Tests: tests/networks/test_blocks.py, tests/networks/test_wired.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from composer.networks.blocks.sizes import feature_axis, resized, within_bounds
from composer.spec.shape import Shape, ShapeError

Join = Literal["sum", "mean", "multiply", "concatenate"]
"""Entry by entry, all of one shape; or end to end: channels of images, else the last axis."""


def join_axis(join: Join, output: Shape, kind: str) -> int:
    """The axis that is concatenated, counted from the last; -1 for joins by entry, which have none."""
    return feature_axis(output, kind) if join == "concatenate" else -1


def joined_shape(
    join: Join, named: Sequence[tuple[str, Shape]], kind: str, steps: Sequence[tuple[str | int, ...]]
) -> Shape:
    """The shape of outputs of ``named`` shapes together; ``ShapeError`` at the ``steps`` of one that does not fit.

    The names say in the message what gives each output.
    """
    outputs = [shape for _, shape in named]
    if join != "concatenate":
        _check_alike(join, outputs, named, steps)
        return outputs[0]
    axis = feature_axis(outputs[0], kind)
    # Outputs with fewer axes than the first have no such axis; they differ from it as they are.
    cut = [resized(o, axis, 0) if len(o) == len(outputs[0]) else o for o in outputs]
    _check_alike(join, cut, named, steps)
    sizes = [output[axis] for output in outputs]
    return resized(outputs[0], axis, within_bounds(sum(sizes), " + ".join(map(str, sizes)), *steps[0][:-1]))


def join_flops(join: Join, count: int, output: Shape) -> int:
    """One operation per entry joined to another, one more for a mean, none to concatenate."""
    return 0 if join == "concatenate" else (count - (join != "mean")) * math.prod(output)


def _check_alike(
    join: Join, compared: Sequence[Shape], named: Sequence[tuple[str, Shape]], steps: Sequence[tuple[str | int, ...]]
) -> None:
    rule = "must agree except in their features" if join == "concatenate" else "must have one shape"
    for index, item in enumerate(compared):
        if item != compared[0]:
            first, other = (f"{name} gives {list(shape)}" for name, shape in (named[0], named[index]))
            raise ShapeError(f"outputs to {join} {rule}: {first}, {other}", steps[index])
