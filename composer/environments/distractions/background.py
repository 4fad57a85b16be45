"""Other backgrounds: waves of colour, or the user's pictures and videos.

Tests: tests/environments/test_distractions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.distractions.base import Changing, Distraction, Intensity
from composer.environments.distractions.picture_files import sources
from composer.environments.interface import UnusableEnvironment

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
        return None if not self.folder or sources(self.folder) else ("folder", _nothing(self.folder))

    @override
    def build(self) -> Changing:
        if problem := self.refusal():
            raise UnusableEnvironment(*problem)
        from composer.environments.distractions.changed_background import ChangedBackground

        screen = self.screen_color, self.tolerance
        return ChangedBackground(self.folder, self.intensity, self.changes == "decision", *screen)


def _nothing(folder: str) -> str:
    return f"no picture, video or folder of frames in {folder!r}; they are read from there, never fetched"
