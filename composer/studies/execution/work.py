"""What one process of a study does, and what starts such processes: local ones, Slurm or Ray, by one protocol.

Tests: tests/studies/execution/test_engine.py.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from composer.spec.run_files import read_table, write_text
from composer.training.runs.disk import flush_to_disk

JobState = Literal["waiting", "running"]


class Member(NamedTuple):
    """A run of a process."""

    name: str
    key: str
    """The digest of its settings."""
    env_steps: int
    """Its length."""


@dataclass(frozen=True)
class Work:
    """One process, which brings runs to their end: usually one run, or several that train in one program.

    Plain values only, so that it can be sent to another machine.
    """

    members: tuple[Member, ...]
    arguments: tuple[str, ...]
    """``FILE KEY=VALUE ...``: the arguments of ``composer train`` for a new run."""
    runs_dir: Path
    """The directory of run directories; every machine sees it under this path."""
    claims: Path
    """The folder of a lock for each run: no two processes train the same one, whichever study they belong to."""
    answer: Path
    """The file for its answer, written whole or not at all."""
    log: Path
    """The file for what the process says."""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    """Versions of libraries under which an earlier run counts as the same."""
    avoided: tuple[Path, ...] = ()
    """Run directories that could not be resumed."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the process, such as those that assign threads and a GPU."""

    @property
    def name(self) -> str:
        """For people."""
        return ",".join(member.name for member in self.members)


class Launcher(Protocol):
    """Starts processes on this machine or on others. Each calls ``worker.perform`` with its work, and nothing else."""

    @property
    def name(self) -> str:
        """``local``, ``slurm`` or ``ray``; the ledger records it."""

    @property
    def slots(self) -> int:
        """How many works it takes at a time, started or waiting in its own queue."""

    def start(self, works: Sequence[Work]) -> Sequence[str]:
        """Start or queue works; the number of each job, under which a later driver on this machine finds it too."""

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """The state of each job that waits or runs; one that has ended, or is not known, is left out."""

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or earlier when a job has ended."""

    def stop(self, jobs: Sequence[str]) -> None:
        """Have jobs end soon: a run saves itself on SIGTERM, and a work that has not begun never begins."""


def is_claimed(claims: Path, key: str) -> bool:
    """Whether a process trains the run, or begins it."""
    try:
        file = os.open(claims / key, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def write_answer(path: Path, answer: Mapping[str, Any]) -> None:
    """Write an answer whole: a reader sees none, or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".tmp-{path.name}")
    staged.unlink(missing_ok=True)
    write_text(staged, json.dumps(answer))
    flush_to_disk(staged)
    staged.rename(path)
    flush_to_disk(path.parent)


def read_answer(path: Path) -> dict[str, Any] | None:
    """The answer of a work that has ended; None of one that has not, or ended without."""
    try:
        return read_table(path)
    except (OSError, ValueError):
        return None
