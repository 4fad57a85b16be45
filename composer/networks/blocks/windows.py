"""Windows that slide over an image: the keys that convolution and pooling share, and the sizes that follow from them.

Images are ``[channels, height, width]``, torch's order. Tests: tests/papers/test_image_blocks.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from composer.spec.shape import Shape, ShapeError
from composer.spec.wording import describe, near

MAX_EXTENT = 1_024
"""Bound on kernels, strides, dilations and paddings, in entries."""

Pads = tuple[int, int, int, int]
"""Entries added left, right, above and below: the order of ``torch.nn.functional.pad``."""

_PADDINGS = ("same", "valid")


def _is_extent(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_EXTENT


def _pair(value: object) -> int | tuple[int, int]:
    if isinstance(value, int) and _is_extent(value, 1):
        return value
    if isinstance(value, list | tuple) and len(value) == 2 and all(_is_extent(item, 1) for item in value):
        return value[0], value[1]
    raise PydanticCustomError(
        "window_pair",
        "expected an integer from 1 to {limit}, or two, [height, width]; got {got}",
        {"limit": MAX_EXTENT, "got": _shown(value)},
    )


def _padding(value: object) -> int | str:
    if isinstance(value, str) and value in _PADDINGS:
        return value
    if isinstance(value, int) and _is_extent(value, 0):
        return value
    meant = near(value, _PADDINGS) if isinstance(value, str) else None
    raise PydanticCustomError(
        "window_padding",
        "expected 'same', 'valid' or an integer from 0 to {limit}, got {got}{hint}",
        {"limit": MAX_EXTENT, "got": _shown(value), "hint": f"; did you mean {meant!r}?" if meant else ""},
    )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, list | tuple) and len(str(value)) <= 40 else describe(value)


_EXTENT = {"type": "integer", "minimum": 1, "maximum": MAX_EXTENT}
_PAIR_SCHEMA: dict[str, Any] = {
    "anyOf": [_EXTENT, {"type": "array", "items": _EXTENT, "minItems": 2, "maxItems": 2}],
}
_PADDING_SCHEMA: dict[str, Any] = {"anyOf": [{"enum": list(_PADDINGS)}, {**_EXTENT, "minimum": 0}]}

# One validator and not a union, whose every option would complain of a wrong value in its own words.
Pair = Annotated[int | tuple[int, int], PlainValidator(_pair), WithJsonSchema(_PAIR_SCHEMA)]
"""One integer for both axes, or ``[height, width]``."""
Padding = Annotated[int | Literal["same", "valid"], PlainValidator(_padding), WithJsonSchema(_PADDING_SCHEMA)]
"""Entries added on each side; ``"valid"`` is 0; ``"same"`` gives one output every ``stride`` entries of the input."""


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width)."""
    return (value, value) if isinstance(value, int) else value


def image(shape: Shape, kind: str) -> tuple[int, int, int]:
    """(channels, height, width); raises ``ShapeError`` where the input is none."""
    if len(shape) != 3:
        raise ShapeError(f"{kind!r} takes an image, [channels, height, width]; its input has shape {list(shape)}")
    return shape[0], shape[1], shape[2]


@dataclass(frozen=True)
class Windows:
    """The windows of one kernel: their number along height and width, and the padding around the image."""

    output: tuple[int, int]
    pads: Pads


def windows(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int | str,
    dilation: tuple[int, int] = (1, 1),
) -> Windows:
    """The windows over an image of ``size`` (height, width); raises ``ShapeError`` at ``kernel`` where none fits."""
    reach = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    added = [_added(*axis, padding) for axis in zip(size, reach, stride, strict=True)]
    padded = (size[0] + sum(added[0]), size[1] + sum(added[1]))
    if reach[0] > padded[0] or reach[1] > padded[1]:
        spread = f", spread over {_by(reach)} by dilation," if reach != kernel else ""
        extended = f", padded to {_by(padded)}" if padded != size else ""
        raise ShapeError(
            f"a kernel of {_by(kernel)}{spread} does not fit into an image of {_by(size)}{extended}", ("kernel",)
        )
    output = tuple(_count(*axis) for axis in zip(padded, reach, stride, strict=True))
    (above, below), (left, right) = added
    return Windows((output[0], output[1]), (left, right, above, below))


def _added(size: int, reach: int, stride: int, padding: int | str) -> tuple[int, int]:
    if isinstance(padding, int):
        return padding, padding
    if padding == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _count(padded: int, reach: int, stride: int) -> int:
    return (padded - reach) // stride + 1


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
