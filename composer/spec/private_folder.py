"""A folder of this user alone below a temporary one, and plain paths to folders whose own paths others cannot take.

Compilers get unquoted paths from inductor; MLflow and SQLAlchemy disagree on ``%`` and ``?`` in a database's URI.
Tests: tests/training/test_compile_cache.py, tests/tracking/test_places.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

PLAIN = re.compile(r"[A-Za-z0-9_./+,=@~-]+")
"""Paths that need no quoting anywhere."""


def private_folder() -> Path | None:
    """A folder with a plain path, below a temporary one, that only this user can write; None where there is none."""
    try:
        first = [tempfile.gettempdir()]
    except FileNotFoundError:
        first = []
    for folder in (*first, "/tmp", "/var/tmp", "/dev/shm"):
        path = Path(folder) / f"composer-{os.geteuid()}"
        if not PLAIN.fullmatch(str(path)):
            continue
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            found = path.lstat()
        except OSError:
            continue
        # Others may have made it, to have their code executed here.
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return path
    return None


def link_to(folder: Path) -> Path:
    """A plain path to ``folder``, which is made where it is absent; ``folder`` itself where no link can be made."""
    private = private_folder()
    if private is None:
        return folder
    link = private / f"link-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (link.is_symlink() and link.readlink() == folder):
            staged = link.with_name(f".{link.name}-{os.getpid()}")
            staged.symlink_to(folder)
            staged.replace(link)
    except OSError:
        return folder
    return link
