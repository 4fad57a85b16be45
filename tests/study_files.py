"""Study files that tests write beside the tiny blueprint."""

from __future__ import annotations

import shutil
from pathlib import Path

TINY = Path(__file__).parent / "tiny.toml"


def write(folder: Path, text: str, head: str = 'study = 1\nblueprint = "tiny.toml"\n') -> Path:
    """A study file with ``text``, below the lines of ``head``, of which there are two."""
    shutil.copy(TINY, folder / "tiny.toml")
    path = folder / "study.toml"
    path.write_text(head + text, encoding="utf-8")
    return path
