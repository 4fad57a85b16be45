"""The newest pictures of one environment.

Tests: tests/environments/test_point.py, tests/environments/test_dm_control_pixels.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FrameStack:
    """The newest pictures, oldest first. One is drawn for each decision, when it is observed."""

    def __init__(self, frames: int, draw: Callable[[], NDArray[np.uint8]], shape: tuple[int, ...]) -> None:
        """``draw`` gives a picture of ``shape``, channels first."""
        self._frames, self._draw = np.zeros((frames, *shape), np.uint8), draw
        self._is_first, self._is_drawn = True, False

    def begin(self) -> None:
        """An episode has begun: its first picture will fill the stack."""
        self._is_first, self._is_drawn = True, False

    def move(self) -> None:
        """The environment has moved."""
        self._is_drawn = False

    def observe(self) -> NDArray[np.uint8]:
        """``[frames * channels, height, width]``."""
        if not self._is_drawn:
            if not self._is_first:
                self._frames[:-1] = self._frames[1:]
            self._frames[slice(None) if self._is_first else -1] = self._draw()
            self._is_first, self._is_drawn = False, True
        return self._frames.reshape(-1, *self._frames.shape[-2:])
