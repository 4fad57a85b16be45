"""The whole state of a run in memory, as checkpoints hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Replay rows ``start`` to ``stop``, in order of arrival, in one immutable file."""

    start: int
    stop: int

    @property
    def name(self) -> str:
        """File name under ``RUN/replay``."""
        return f"rows-{self.start:012d}-{self.stop:012d}.safetensors"


@dataclass
class Snapshot:
    """The whole state of a run: tensors by name, plain values, and the segments of its replay."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]
    segments: tuple[Segment, ...] = ()
    path: Path | None = None
    """Folder of the checkpoint that it was loaded from."""
    skipped: list[str] = field(default_factory=list)
    """Newer checkpoints that were damaged, and how."""
