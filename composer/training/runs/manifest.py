"""The manifest of a checkpoint as it must be: a stranger may have written it, with a seal that fits.

Tests: tests/faults/test_doctored.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Raise ValueError where a value has another type, or a file is not in the run directory."""
    if not _is_count(manifest.get("step")):
        raise ValueError("step is no number of environment steps")
    files, segments = manifest.get("files"), manifest.get("segments")
    if not isinstance(files, dict) or not isinstance(segments, list):
        raise ValueError("files or segments are missing")
    for name, entry in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name!r} is not in the run directory")
        if not isinstance(entry, dict) or not _is_count(entry.get("bytes")) or not isinstance(entry.get("sha256"), str):
            raise ValueError(f"size and SHA-256 of {name!r} are missing")
    for bounds in segments:
        if not (
            isinstance(bounds, list) and len(bounds) == 2 and all(map(_is_count, bounds)) and bounds[0] < bounds[1]
        ):
            raise ValueError("a segment is no pair of rows")
        if f"replay/rows-{bounds[0]:012d}-{bounds[1]:012d}.safetensors" not in files:
            raise ValueError(f"the segment {bounds} has no file")


def check_values(values: Mapping[str, Any]) -> None:
    """Raise ValueError where a number in ``state.json`` that commands read by themselves is none."""
    for key in ("interactions", "journal_offset", "replay_start", "replay_added"):
        if not _is_count(values.get(key, 0)):
            raise ValueError(f"{key} is no number")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
