"""Frames of a film side by side on one picture, for pages that show pictures but no films.

Tests: tests/training/films/test_films.py.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from composer.tracking.media.files import STEP

ACROSS, DOWN = 4, 2
WIDTH: Final = 240
"""Pixels of one frame at most."""


class ContactSheet:
    """Takes every frame of a film, and keeps a few small ones that are evenly spaced in time."""

    def __init__(self) -> None:
        self._frames: list[Any] = []
        self._every, self._taken = 1, 0

    def take(self, picture: NDArray[np.uint8]) -> None:
        """Add a frame ``[height, width, 3]``."""
        from PIL import Image

        if self._taken % self._every == 0:
            frame = Image.fromarray(picture)
            frame.thumbnail((WIDTH, WIDTH))
            self._frames.append(frame)
        self._taken += 1
        if len(self._frames) > 4 * ACROSS * DOWN:
            self._frames = self._frames[::2]
            self._every *= 2

    def png(self, env_step: int) -> bytes:
        """The sheet, first frame at the top left, last at the bottom right; its text says the environment step."""
        from PIL import Image, PngImagePlugin

        count = min(ACROSS * DOWN, len(self._frames))
        chosen = [self._frames[index] for index in np.linspace(0, len(self._frames) - 1, count).round().astype(int)]
        width, height = chosen[0].size
        sheet = Image.new("RGB", (min(count, ACROSS) * (width + 2), -(-count // ACROSS) * (height + 2)), "white")
        for number, frame in enumerate(chosen):
            sheet.paste(frame, (number % ACROSS * (width + 2), number // ACROSS * (height + 2)))
        texts, stream = PngImagePlugin.PngInfo(), BytesIO()
        texts.add_text(STEP, str(env_step))
        sheet.save(stream, "png", pnginfo=texts)
        return stream.getvalue()
