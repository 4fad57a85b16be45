"""Pictures, videos and folders of frames that a user keeps. Tests: tests/environments/test_distractions.py."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

PICTURES, VIDEOS = (".png", ".jpg", ".jpeg", ".bmp"), (".mp4", ".avi", ".mov", ".webm", ".gif")


@lru_cache(maxsize=8)
def sources(folder: str) -> tuple[Path, ...]:
    """Pictures, videos and folders of frames in a folder, in the order of their names."""
    here = Path(folder).expanduser()
    inside = sorted(here.iterdir()) if here.is_dir() else []
    return tuple(
        each for each in inside if each.suffix.lower() in PICTURES + VIDEOS or (each.is_dir() and pictures_in(each))
    )


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
