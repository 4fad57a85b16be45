"""A dm_control task observed as a stack of colour pictures, as in DrQ-v2 (arXiv:2107.09645).

Tests: tests/environments/test_dm_control_pixels.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.suites.dm_control import ControlTask, DmControl


class PixelTask:
    """A task and its newest pictures, oldest first. One picture is drawn a decision, when it is asked for."""

    def __init__(self, task: ControlTask, seen: DmControl) -> None:
        self._task, self._seen = task, seen
        self._frames = np.zeros((seen.stack, 3, seen.height, seen.width), np.uint8)
        self._is_first, self._is_drawn = True, False
        self._draw()  # a machine that cannot is found out now, and not in the first episode

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``."""
        self._task.reset(seed)
        self._is_first, self._is_drawn = True, False

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One control step."""
        self._is_drawn = False
        return self._task.step(action)

    def observe(self) -> NDArray[np.uint8]:
        """The stack [3 * stack, height, width]; the first picture of an episode fills it."""
        if not self._is_drawn:
            if not self._is_first:
                self._frames[:-1] = self._frames[1:]
            self._frames[slice(None) if self._is_first else -1] = self._draw().transpose(2, 0, 1)
            self._is_first, self._is_drawn = False, True
        return self._frames.reshape(-1, *self._frames.shape[2:])

    def render(self) -> NDArray[np.uint8]:
        """The view of the task's first camera."""
        return self._task.render()

    def close(self) -> None:
        """Free the simulation."""
        self._task.close()

    def _draw(self) -> NDArray[np.uint8]:
        return self._task.draw(self._seen.height, self._seen.width, self._seen.camera)
