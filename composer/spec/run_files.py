"""Read and write the files of a run directory, which may come from a stranger: UTF-8 in every locale, no link followed.

Reading accepts regular files only, so that a pipe or a device cannot block or flood the reader, and JSON whose nesting
Python can hold. Writing never passes through a symbolic link. Tests: tests/spec/test_run_files.py.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from composer.spec.errors import ComposerError

MAX_BYTES = 256 * 1024 * 1024
"""Largest text file that is read: far more than any run writes."""


class LinkRefused(ComposerError, OSError):
    """A file of a run directory is a symbolic link, or no regular file: composer does not write through it."""

    exit_code = 3

    def __init__(self, path: Path) -> None:
        what = "a symbolic link" if path.is_symlink() else "no regular file"
        super().__init__(errno.ELOOP, f"{path} is {what}; composer does not write through it: move it away")

    def __str__(self) -> str:
        return str(self.strerror)


def open_to_write(path: Path, flags: int = 0) -> int:
    """A descriptor of the regular file at ``path``, made where it is absent; raises LinkRefused and OSError.

    ``flags`` are added, such as ``os.O_TRUNC`` or ``os.O_APPEND``; reading is allowed too.
    """
    # Without O_NONBLOCK a pipe would block.
    always = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        file = os.open(path, always | flags & ~os.O_TRUNC, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise LinkRefused(path) from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise LinkRefused(path)
    if flags & os.O_TRUNC:
        os.ftruncate(file, 0)
    return file


def write_at(file: int, content: bytes, offset: int) -> None:
    """Write all of ``content`` at ``offset`` of a file; raises OSError, perhaps after a part of it."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, memoryview(content)[written:], offset + written)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; raises LinkRefused and OSError."""
    with os.fdopen(open_to_write(path, os.O_TRUNC), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def refuse_links(folder: Path) -> None:
    """Raise LinkRefused where a file or folder below ``folder`` is a symbolic link: nothing is written through it."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(root, name)).is_symlink():
                raise LinkRefused(path)


def open_to_read(path: Path) -> io.BufferedReader:
    """A regular file, open; raises OSError, and ValueError for pipes, devices and folders."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ValueError("no regular file")
    return os.fdopen(file, "rb")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; raises OSError, and ValueError for other files."""
    with open_to_read(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise ValueError(f"{size:,} bytes; limit {limit:,}")
        return stream.read(limit + 1)


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a regular file in UTF-8; raises OSError and ValueError."""
    return read_bytes(path, limit).decode("utf-8")


def read_table(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises OSError, and ValueError for anything else."""
    return parse_table(read_bytes(path))


def parse_table(text: bytes | str) -> dict[str, Any]:
    """The JSON object in a text, as UTF-8 where it is bytes; raises ValueError for anything else."""
    try:
        table = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(table, dict):
        raise ValueError("not a JSON object")
    return table
