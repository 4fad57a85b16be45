"""The folder ``media/`` of a run directory: pictures, films and texts that the tracking store shows.

Anyone may leave a file there with ``leave``; the process that uploads the run sends it. A PNG may carry the environment
step that it shows, as a text of the file. Tests: tests/tracking/media/test_sending.py.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from composer.spec.run_files import open_to_write, read_bytes

FOLDER: Final = "media"
SUFFIXES: Final = (".png", ".svg", ".txt", ".html", ".md", ".json", ".jsonl", ".mp4")
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""Names that MLflow takes as a key of pictures. Those that begin with a point are still being written."""
ARCHITECTURE: Final = "architecture"
CURVE: Final = "curve"
INTERVENTIONS: Final = "interventions"
LAST: Final = "last"
BEST: Final = "best"
"""Names of the pictures and films that every run may have, and keys of its pictures in MLflow."""
STEP: Final = "step"
"""Name of the text in a PNG that has the environment step."""


class MediaFile(NamedTuple):
    """One file with its content: a reader never sees half of one that was left by ``leave``."""

    path: Path
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


def leave(run_dir: Path, name: str, content: bytes) -> Path:
    """Write ``media/NAME`` whole, by rename, replacing an older file. Raises LinkRefused and OSError."""
    path = run_dir / FOLDER / name
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{name}.{os.getpid()}")
    with os.fdopen(open_to_write(temporary, os.O_TRUNC), "wb") as file:
        file.write(content)
    temporary.replace(path)
    return path


def media(run_dir: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """The files that are sent, by name, each with its time and size, which differ where the content does.

    Links, folders, and files with other names or suffixes are left out.
    """
    try:
        entries = sorted(os.scandir(run_dir / FOLDER), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if NAME.fullmatch(entry.name) and path.suffix in SUFFIXES and entry.is_file(follow_symlinks=False):
            state = entry.stat(follow_symlinks=False)
            yield path, (state.st_mtime_ns, state.st_size)


def read_media(path: Path) -> MediaFile:
    """One file; raises OSError and ValueError."""
    return MediaFile(path, read_bytes(path))


def png_step(content: bytes) -> int:
    """The environment step that a PNG says it shows; 0 where it says none. Raises OSError for what is no PNG."""
    from PIL import Image

    with Image.open(BytesIO(content), formats=["PNG"]) as picture:
        picture.load()
        text = picture.info.get(STEP, "")
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 19 else 0
