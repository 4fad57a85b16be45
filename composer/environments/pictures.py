"""Pictures resized by a cubic kernel and cropped in the middle.

Legend: h, w rows and columns. Tests: tests/environments/test_vision_language.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fitted(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The middle of ``picture [h, w, 3]``, resized until it just covers ``[height, width, 3]``.

    With a cubic kernel (a = -1/2) that widens where the picture shrinks, as CLIP's own preprocessing resizes; up to
    the rounding between both axes.
    """
    if picture.shape[:2] == (height, width):
        return picture
    scale = max(height / picture.shape[0], width / picture.shape[1])
    large = (max(round(scale * picture.shape[0]), height), max(round(scale * picture.shape[1]), width))
    down = _weights(picture.shape[0], large[0], height)
    across = _weights(picture.shape[1], large[1], width)
    flat = down @ picture.reshape(picture.shape[0], -1).astype(np.float32)
    resized = across @ flat.reshape(height, picture.shape[1], 3)
    return cast("NDArray[np.uint8]", np.rint(resized).clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=64)
def _weights(source: int, target: int, kept: int) -> NDArray[np.float32]:
    """The middle ``kept`` rows of the matrix ``[target, source]`` that resizes one axis; rows sum to 1."""
    scale = source / target
    first = (target - kept) // 2
    centres = (np.arange(first, first + kept) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return cast("NDArray[np.float32]", (weights / weights.sum(1, keepdims=True)).astype(np.float32))
