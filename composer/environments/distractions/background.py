"""Other backgrounds: waves of colour, or the user's pictures and videos.

Tests: tests/environments/test_distractions.py.

Legend: h, w rows and columns of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from composer.environments.distractions.base import Changing, Distraction, Intensity
from composer.environments.interface import UnusableEnvironment
from composer.environments.pictures import fitted

if TYPE_CHECKING:
    from composer.environments.distractions.base import Mask, Picture

WAVES = 4
"""Plane waves of each colour."""
PICTURES, VIDEOS = (".png", ".jpg", ".jpeg", ".bmp"), (".mp4", ".avi", ".mov", ".webm", ".gif")
LONGEST = 1_000
"""Most frames that are kept of a video."""


Byte = Annotated[int, Field(ge=0, le=255)]


class Background(Distraction, kind="background"):
    """Another background, drawn for each episode; what is in front of it stays, pixel by pixel.

    With ``changes = "decision"`` it moves: waves travel, videos play, forwards and then backwards. Source: Stone et
    al., arXiv:2101.02722, which put videos behind the tasks of the DeepMind control suite.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "background", "intensity": 1.0, "changes": "decision"}

    folder: Annotated[str, Field(max_length=4_096)] = ""
    """A folder of pictures and videos, of which each episode draws one: a video file, or a folder of frames in the
    order of their names, is a video. Empty: waves of colour, which need no files."""
    intensity: Intensity = 1.0
    """Share of the new background; the rest is the old one."""
    screen_color: tuple[Byte, Byte, Byte] | None = Field(default=None, strict=False)
    """Red, green and blue of the pixels that are background. Absent: what the simulator says, in dm_control the sky and
    the floor; others do not say it."""
    tolerance: Byte = 0
    """How far each channel of a background pixel may be from ``screen_color``."""

    @property
    @override
    def needs_mask(self) -> bool:
        return self.screen_color is None

    @override
    def refusal(self) -> tuple[str, str] | None:
        return None if not self.folder or _found(self.folder) else ("folder", _nothing(self.folder))

    @override
    def build(self) -> Changing:
        if problem := self.refusal():
            raise UnusableEnvironment(*problem)
        return _Background(self)


class _Background(Changing):
    def __init__(self, declared: Background) -> None:
        self._folder, self._intensity, self._moves = declared.folder, declared.intensity, declared.changes == "decision"
        self._screen, self._tolerance, self._seed = declared.screen_color, declared.tolerance, 0

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
    sources = _found(folder)
    frames = _frames(sources[int(random.integers(len(sources)))], height, width)
    period = max(2 * len(frames) - 2, 1)
    index = (int(random.integers(len(frames))) + time) % period
    return frames[min(index, period - index)]


@lru_cache(maxsize=8)
def _found(folder: str) -> tuple[Path, ...]:
    """Pictures, videos and folders of frames in a folder, in the order of their names."""
    here = Path(folder).expanduser()
    inside = sorted(here.iterdir()) if here.is_dir() else []
    return tuple(
        each for each in inside if each.suffix.lower() in PICTURES + VIDEOS or (each.is_dir() and _pictures(each))
    )


@lru_cache(maxsize=64)
def _frames(source: Path, height: int, width: int) -> Sequence[Picture]:
    """At most ``LONGEST`` frames, of the size of the environment's pictures. Raises UnusableEnvironment."""
    import imageio.v2 as imageio

    try:
        if source.is_dir():
            seen = [imageio.imread(path) for path in _pictures(source)[:LONGEST]]
        elif source.suffix.lower() in VIDEOS:
            reader: Any = imageio.get_reader(source)
            with reader:
                seen = [frame for _, frame in zip(range(LONGEST), reader, strict=False)]
        else:
            seen = [imageio.imread(source)]
        return [fitted(_colored(np.asarray(frame)), height, width) for frame in seen]
    except Exception as error:  # Whatever a decoder raises.
        raise UnusableEnvironment("folder", f"{source} cannot be read: {error}") from error


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _colored(frame: Picture) -> Picture:
    """Three channels of grey, of colours, or of colours with transparency, which is left out."""
    grey = frame.ndim == 2
    colored: Picture = np.repeat(frame[..., None], 3, -1) if grey else frame[..., :3]
    return np.repeat(colored[..., :1], 3, -1) if colored.shape[-1] < 3 else colored


def _nothing(folder: str) -> str:
    return f"no picture, video or folder of frames in {folder!r}; they are read from there, never fetched"
