"""The ledger of a study: what was planned, begun and how it ended, in an append-only file that survives kill -9.

    STUDY/ledger.jsonl    rows as in a journal, each with its time, and with the ``key`` of its run
    STUDY/lock            held by the one process that trains the study

Run directories hold the truth; a ledger that disagrees with them is mended from them. Tests:
tests/studies/execution/test_ledger.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.spec.errors import ComposerError
from composer.spec.run_files import open_to_write
from composer.tracking.journal import Journal, JournalRow, read
from composer.tracking.locks import lock_exclusive
from composer.training.runs.directory import LOCK_SECONDS, holder

LEDGER = "ledger.jsonl"
ENDS = ("finished", "failed", "diverged", "interrupted")
"""Types of the rows that end a run."""


class StudyInUse(ComposerError):
    """Another process trains this study."""

    exit_code = 3


class LedgerDamaged(ComposerError):
    """The ledger cannot be read to its end; nothing was written."""

    exit_code = 3


@dataclass
class Entry:
    """What the ledger says of one run."""

    planned: JournalRow | None = None
    started: JournalRow | None = None
    """Its last start, with ``launcher``, ``job``, ``answer`` and ``log``."""
    ended: JournalRow | None = None
    """How that ended; None while it trains, or after a kill."""
    starts: int = 0


@dataclass
class Account:
    """What a ledger says, by key of the run."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problem: str | None = None
    """Why it could not be read to its end: a torn or damaged line."""

    def add(self, row: JournalRow) -> None:
        """Take up one more row."""
        entry = self.entries.setdefault(row["key"], Entry())
        if row["type"] == "planned":
            entry.planned = row
        elif row["type"] == "started":
            entry.started, entry.ended, entry.starts = row, None, entry.starts + 1
        elif row["type"] in ENDS:
            entry.ended = row

    def of(self, key: str) -> Entry:
        """The entry of a run; an empty one of a run that the ledger does not know."""
        return self.entries.get(key, Entry())


def name_in(row: Mapping[str, Any]) -> str:
    """The name of the run directory in a row; empty where it has none."""
    return Path(row.get("directory", "")).name


def directory_of(folder: Path, row: Mapping[str, Any]) -> Path | None:
    """The run directory in a row, which names it from the study's folder: a project may be moved."""
    return Path(os.path.normpath(folder / row["directory"])) if "directory" in row else None


def read_account(folder: Path) -> Account:
    """What the ledger of a study says; nothing is locked or written."""
    account, reader = Account(), read(folder / LEDGER)
    for row in reader:
        account.add(row)
    account.problem = reader.problem
    return account


def runs_in(path: Path) -> dict[Path, Mapping[str, Any] | None]:
    """The runs of a study's folder that have finished or diverged, with their points; of any other path, that path."""
    if not (path / LEDGER).is_file():
        return {path: None}
    found: dict[Path, Mapping[str, Any] | None] = {}
    for entry in read_account(path).entries.values():
        if entry.ended is not None and entry.ended["type"] in ("finished", "diverged"):
            directory = directory_of(path, entry.ended)
            if directory is not None:
                found[directory] = None if entry.planned is None else {"point": entry.planned.get("point", {})}
    return found


class Ledger:
    """The ledger of a study that this process trains; every row is on the disk before ``append`` returns."""

    def __init__(self, folder: Path) -> None:
        """Continue the ledger in ``folder``; a last line that a kill has torn is cut off. Raises LedgerDamaged."""
        self.account = read_account(folder)
        path = folder / LEDGER
        path.touch()
        reader = read(path)
        for _ in reader:
            pass
        if reader.problem is not None and not _is_last_line(path, reader.offset):
            raise LedgerDamaged(
                f"{path} is damaged ({reader.problem}) and was left alone. Run directories hold everything: move the"
                " ledger away, and the same command makes it anew from them"
            )
        self._journal = Journal.resume(path, reader.offset, clock=time.time)

    def append(self, kind: str, key: str, **facts: Any) -> None:
        """Add a row of type ``kind`` on the run ``key``."""
        row: JournalRow = {"type": kind, "key": key, **facts}
        self._journal.append(row)
        self._journal.flush(sync=True)
        self.account.add(row)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()


@contextmanager
def holding(folder: Path) -> Iterator[Ledger]:
    """Hold a study's folder, which is made, and its ledger. Raises StudyInUse and LedgerDamaged."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open_to_write(folder / "lock")
    try:
        if not lock_exclusive(lock, LOCK_SECONDS):
            number = os.pread(lock, 32, 0).decode("ascii", "replace") or "another one"
            raise StudyInUse(
                f"the study in {folder} is being trained by process {number}: wait for it, or stop it and repeat this"
                " command, which continues it"
            )
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        ledger = Ledger(folder)
        try:
            yield ledger
        finally:
            ledger.close()
            os.truncate(lock, 0)
    finally:
        os.close(lock)


def holder_of(folder: Path) -> str:
    """The number of the process that trains the study now; empty where none does."""
    number, is_alive = holder(folder)
    return number if is_alive else ""


def _is_last_line(path: Path, offset: int) -> bool:
    """Whether nothing but one torn line follows the byte ``offset``."""
    rest = path.read_bytes()[offset:]
    return b"\n" not in rest
