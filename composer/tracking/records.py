"""The small files by which a run directory, its trainer and its uploader speak: each written whole, by rename.

- ``tracking.json``, by the trainer: what is asked for: the store, the experiment, parameters, tags. No credentials.
- ``ended.json``, by the trainer: how the run ended, and when. Absent while it runs, and after a kill.
- ``mlflow.json``, by the uploader: where the run is found in MLflow.
- ``upload.json``, by the uploader: what has been sent and acknowledged, by row number; the last error.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

RUN: Final = "run.json"
JOURNAL: Final = "journal.jsonl"
TIMING: Final = "timing.jsonl"
LOCK: Final = "upload.lock"
LOG: Final = "uploader.log"
ARTIFACTS: Final = (RUN, "blueprint.toml", "parameters.json")

EVERYTHING: Final = 2**62
"""As a row number: whatever comes may already be in the store."""


@dataclass
class Record:
    """A dataclass kept in one JSON file of the run directory, called ``file``."""

    file: ClassVar[str] = ""

    @classmethod
    def load(cls, run_dir: Path) -> Self | None:
        """The record, or None where it is absent or unreadable: each can be made again from the journal."""
        try:
            return cls(**json.loads((run_dir / cls.file).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, run_dir: Path) -> None:
        """Replace the file at once: a reader sees the old one or the new one."""
        path = run_dir / self.file
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        temporary.replace(path)


@dataclass
class Tracking(Record):
    """What the trainer asked for. ``uri`` is None for the embedded store, and for one whose URI holds credentials."""

    file = "tracking.json"
    uri: str | None
    source: str
    runs_dir: str
    """The runs directory, relative to the run's: the embedded store moves with both."""
    experiment: str
    system_metrics: bool
    parameters: dict[str, Any]
    tags: dict[str, str]


@dataclass
class Ended(Record):
    """How the run ended; ``time`` in milliseconds since the epoch."""

    file = "ended.json"
    status: RunStatus
    time: int


@dataclass
class Where(Record):
    """The run in MLflow. ``children`` maps seeds, as strings, to run ids."""

    file = "mlflow.json"
    tracking_uri: str
    experiment_id: str
    run_id: str
    children: dict[str, str]

    def ids(self) -> list[str]:
        """All run ids, the parent's first."""
        return [self.run_id, *self.children.values()]


@dataclass
class Upload(Record):
    """Progress, by file and row number. Rows after ``acknowledged`` and up to ``sent`` may be in the store or not."""

    file = "upload.json"
    tracking_uri: str
    acknowledged: dict[str, int] = field(default_factory=lambda: {JOURNAL: 0, TIMING: 0})
    sent: dict[str, int] = field(default_factory=lambda: {JOURNAL: 0, TIMING: 0})
    described: bool = False
    status: str = "RUNNING"
    error: str | None = None


def rows_in(run_dir: Path) -> int:
    """Rows of the journal and of the timing journal, counted by their line ends."""
    return sum(_lines(run_dir / name) for name in (JOURNAL, TIMING))


def pending(run_dir: Path) -> int:
    """Rows that no store has acknowledged yet."""
    upload = Upload.load(run_dir)
    return max(0, rows_in(run_dir) - (sum(upload.acknowledged.values()) if upload else 0))


def run_id(run_dir: Path) -> str | None:
    """MLflow's id of the run (of its parent, that is); None before the store has been reached."""
    where = Where.load(run_dir)
    return where.run_id if where else None


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0
