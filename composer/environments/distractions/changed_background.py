"""Pictures whose background is changed: waves of colour, or frames of files.

Tests: tests/environments/test_distractions.py.

Legend: h, w rows and columns of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from composer.environments.distractions.base import Changing
from composer.environments.distractions.picture_files import VIDEOS, pictures_in, sources
from composer.environments.interface import UnusableEnvironment
from composer.environments.pictures import fitted

if TYPE_CHECKING:
    from composer.environments.distractions.base import Mask, Picture

WAVES = 4
"""Plane waves of each colour."""
LONGEST = 1_000
"""Most frames that are kept of a video."""


class ChangedBackground(Changing):
    """``Background`` in one environment."""

    def __init__(
        self, folder: str, intensity: float, moves: bool, screen: tuple[int, int, int] | None, tolerance: int
    ) -> None:
        """With the fields of ``Background``; ``moves``: with each decision."""
        self._folder, self._intensity, self._moves = folder, intensity, moves
        self._screen, self._tolerance, self._seed = screen, tolerance, 0

    @override
    def begin(self, seed: int) -> None:
        self._seed = seed

    @override
    def change(self, picture: Picture, background: Callable[[], Mask], decision: int) -> Picture:
        height, width = picture.shape[:2]
        time, random = decision if self._moves else 0, np.random.default_rng(self._seed)
        made = (random, time, height, width)
        behind = _frame(self._folder, *made) if self._folder else _waves(*made)
        mask, changed = self._mask(picture, background), picture.copy()
        mixed = self._intensity * behind[mask] + (1 - self._intensity) * picture[mask]
        changed[mask] = np.rint(mixed)
        return changed

    def _mask(self, picture: Picture, background: Callable[[], Mask]) -> Mask:
        if self._screen is None:
            return background()
        distance = np.abs(picture.astype(np.int16) - np.array(self._screen, np.int16))
        mask: Mask = np.asarray((distance <= self._tolerance).all(-1))
        return mask


def _waves(random: np.random.Generator, time: int, height: int, width: int) -> Picture:
    """Sums of plane waves ``[h, w, 3]`` whose phases move with time."""
    across, down, phase, speed = random.uniform(-1, 1, (4, WAVES, 3))
    rows, columns = np.mgrid[:height, :width][..., None, None] / max(height, width)
    angle = 6 * np.pi * (across * columns + down * rows) + np.pi * (phase + 0.2 * speed * time)
    waves: Picture = np.rint(127.5 * (1 + np.sin(angle).mean(-2))).astype(np.uint8)
    return waves


def _frame(folder: str, random: np.random.Generator, time: int, height: int, width: int) -> Picture:
    """The frame of a drawn video ``[h, w, 3]``: played from a drawn one on, and backwards at its end."""
    found = sources(folder)
    frames = _frames(found[int(random.integers(len(found)))], height, width)
    period = max(2 * len(frames) - 2, 1)
    index = (int(random.integers(len(frames))) + time) % period
    return frames[min(index, period - index)]


@lru_cache(maxsize=64)
def _frames(source: Path, height: int, width: int) -> Sequence[Picture]:
    """At most ``LONGEST`` frames, of the size of the environment's pictures. Raises UnusableEnvironment."""
    import imageio.v2 as imageio

    try:
        if source.is_dir():
            seen = [imageio.imread(path) for path in pictures_in(source)[:LONGEST]]
        elif source.suffix.lower() in VIDEOS:
            reader: Any = imageio.get_reader(source)
            with reader:
                seen = [frame for _, frame in zip(range(LONGEST), reader, strict=False)]
        else:
            seen = [imageio.imread(source)]
        return [fitted(_colored(np.asarray(frame)), height, width) for frame in seen]
    except Exception as error:  # Whatever a decoder raises.
        raise UnusableEnvironment("folder", f"{source} cannot be read: {error}") from error


def _colored(frame: Picture) -> Picture:
    """Three channels of grey, of colours, or of colours with transparency, which is left out."""
    grey = frame.ndim == 2
    colored: Picture = np.repeat(frame[..., None], 3, -1) if grey else frame[..., :3]
    return np.repeat(colored[..., :1], 3, -1) if colored.shape[-1] < 3 else colored
