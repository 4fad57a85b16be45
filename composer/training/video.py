"""Record an episode as a video, one frame per decision, by the ffmpeg binary that imageio brings.

Tests: tests/cli/test_commands.py.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from composer.environments.interface import VectorEnvironment


class VideoRecorder:
    """Write an H.264 file at ``path`` while entered; ``take`` adds a frame of the first environment."""

    def __init__(self, path: Path, frames_per_second: int) -> None:
        """The file is opened with the first frame, so that a machine that cannot render leaves no empty one."""
        self._path, self._rate = path, frames_per_second
        self._writer: Any = None

    def __enter__(self) -> Self:
        """Ready to take frames."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()

    def take(self, environments: VectorEnvironment) -> None:
        """Add a frame of environment 0; raises RenderingUnavailable where nothing can be rendered."""
        import imageio.v2 as imageio

        picture = environments.render(0)
        if self._writer is None:
            self._writer = imageio.get_writer(self._path, fps=self._rate, macro_block_size=None)
        self._writer.append_data(picture)
