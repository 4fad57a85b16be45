"""Record an episode as a video, one frame per decision, by the ffmpeg binary that imageio brings.

Tests: tests/cli/test_commands.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from composer.environments.interface import RenderingUnavailable
from composer.spec.errors import ComposerError
from composer.spec.wording import shorten

if TYPE_CHECKING:
    from composer.environments.interface import VectorEnvironment


FRAMES_PER_SECOND = 30


class VideoUnwritable(ComposerError, RuntimeError):
    """A file of this name, or for these pictures, cannot be written."""

    exit_code = 2


class VideoRecorder:
    """Write an H.264 file at ``path`` while entered; ``take`` adds a frame of the first environment."""

    def __init__(self, path: Path, frames_per_second: int) -> None:
        """The file is opened with the first frame, so that a machine that cannot render leaves no empty one."""
        self._path, self._rate = path, frames_per_second
        self._writer: Any = None
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        """Ready to take frames."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        if self._writer is not None:
            with self._writing():
                self._writer.close()

    def take(self, environments: VectorEnvironment) -> NDArray[np.uint8]:
        """Add a frame of environment 0 and return it.

        Raises RenderingUnavailable, EnvironmentFailure and VideoUnwritable.
        """
        picture = environments.render(0)
        if picture.shape != (self._shape or picture.shape):
            raise RenderingUnavailable(
                f"the pictures change their size: {[*self._shape]} at first, {[*picture.shape]} now"
            )
        self._shape = picture.shape
        # H.264 codes colours for two pixels at a time: repeat the last row or column of an odd number.
        even = np.pad(picture, [(0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)], mode="edge")
        with self._writing():
            if self._writer is None:
                import imageio.v2 as imageio

                self._writer = imageio.get_writer(self._path, fps=self._rate, macro_block_size=None)
            self._writer.append_data(even)
        return picture

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # imageio and ffmpeg raise many kinds, with the log of a process in some.
            reason = shorten(" ".join(str(error).split()), 200)
            raise VideoUnwritable(f"{self._path} cannot be written: {reason or type(error).__name__}") from error
