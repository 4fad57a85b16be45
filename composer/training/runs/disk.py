"""Flushing to the disk, and the hashes of files and of JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.spec.run_files import open_to_read


def flush_to_disk(path: Path) -> None:
    """Flush a file or folder to the disk, so that it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(table: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of a table of JSON: its file holds the hash of everything else in it."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def size_and_hash(path: Path) -> dict[str, Any]:
    """``bytes`` and ``sha256`` of a regular file. Raises OSError, and ValueError for what is none."""
    with open_to_read(path) as file:
        size, digest = os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256")
    return {"bytes": size, "sha256": digest.hexdigest()}
