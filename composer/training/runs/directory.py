"""The run directory: created whole or not at all, held by one process at a time.

RUN/run.json          facts: id, name, variant, task, seeds, hash, versions, how updates are computed
RUN/blueprint.toml    the resolved blueprint
RUN/parameters.json   every parameter with its shape
RUN/journal.jsonl     metrics and events; RUN/timing.jsonl   speed and wall-clock times
RUN/checkpoints/      see composer.training.runs.checkpoint

Tests: tests/faults/.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint, loads_resolved
from composer.spec.errors import ComposerError
from composer.spec.run_files import open_to_read, open_to_write, read_table, read_text, refuse_links, write_text
from composer.tracking.locks import lock_exclusive
from composer.training.runs.disk import flush_to_disk, seal
from composer.training.runs.edited import BLUEPRINT, check_blueprint, check_facts, sealed
from composer.training.runs.near_runs import meant

LOCK_SECONDS = 0.2
"""How long a run is waited for: a command that only asks who holds it has its lock for an instant."""
MAX_VARIANT = 120
"""Longest name of a variant in the name of a directory."""


class RunUnusable(ComposerError, RuntimeError):
    """A run directory is absent, incomplete, locked or cannot be written; the message says which and what to do."""

    exit_code = 3


class _Facts(dict[str, Any]):
    """The content of ``run.json``; what it lacks is an error in words."""

    def __missing__(self, key: str) -> Any:
        raise RunUnusable(f"run.json has no {key!r}: it is damaged, or of another version of composer")


_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("run_id", "name", "task", "algorithm", "hash", "device", "compile_reason"), str),
    **dict.fromkeys(("fingerprint", "fork", "study", BLUEPRINT), dict),
    **dict.fromkeys(("variant", "git_commit"), str | None),
    **dict.fromkeys(("seeds", "beside"), list),
    **dict.fromkeys(("compiled", "compiled_in_background"), bool),
}
"""Types of the facts that commands read."""


@dataclass(frozen=True)
class Run:
    """An open run directory; the lock is held until the process ends or ``close`` is called."""

    path: Path
    facts: dict[str, Any]
    """The content of ``run.json``."""
    lock: int
    """File descriptor of the locked file, which holds the number of this process."""
    died: str = ""
    """The number of the process that held the run before, if it ended without closing it."""

    def revise(self, **changed: Any) -> None:
        """Change facts, in ``run.json`` too: a reader sees the old file or the new one."""
        self.facts.update(sealed(self.facts | changed, self.facts[BLUEPRINT]))
        staged = self.path / ".tmp-run.json"
        staged.unlink(missing_ok=True)
        write_text(staged, json.dumps(self.facts, indent=1, sort_keys=True))
        flush_to_disk(staged)
        staged.rename(self.path / "run.json")

    def close(self) -> None:
        """Release the lock."""
        os.ftruncate(self.lock, 0)
        os.close(self.lock)


def new_id(name: str, variant: str | None) -> str:
    """The name of a new run and of its directory: what it trains, the time, and four random digits."""
    # A file system takes 255 bytes: the name of a combination of many variants is cut here, and whole in run.json.
    words = [name, (variant or "")[:MAX_VARIANT], time.strftime("%Y%m%d-%H%M%S"), secrets.token_hex(2)]
    return "-".join(word for word in words if word)


def create(runs: Path, blueprint: str, facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> Run:
    """A new run directory under ``runs``, staged beside it and renamed, so that it is never half there.

    ``blueprint`` is the text of the resolved one; ``facts`` have the ``run_id``. Raises RunUnusable.
    """
    run_id = facts["run_id"]
    staged = runs / f".tmp-{run_id}"
    content = sealed({**facts, "parameters_sha256": seal(parameters)}, tomllib.loads(blueprint))
    try:
        staged.mkdir(parents=True)
        write_text(staged / "blueprint.toml", blueprint)
        write_text(staged / "parameters.json", json.dumps(parameters, indent=1))
        write_text(staged / "run.json", json.dumps(content, indent=1, sort_keys=True))
        (staged / "lock").touch()
        for entry in (*staged.iterdir(), staged):
            flush_to_disk(entry)
        staged.rename(runs / run_id)
        flush_to_disk(runs)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise RunUnusable(f"cannot write {runs} ({error.strerror})") from None
    return open_run(runs / run_id)


def read_facts(path: Path) -> dict[str, Any]:
    """The content of a run's ``run.json``. Raises RunUnusable where ``path`` is no run directory, and RunEdited."""
    try:
        facts = read_table(path / "run.json")
    except (OSError, ValueError) as error:
        reason = f"run.json: {getattr(error, 'strerror', None) or error}"
        hint = "" if os.path.exists(path / "run.json") else meant(path)
        raise RunUnusable(f"{path} is no run directory: {hint or reason}") from None
    check_facts(path, facts)
    for key, right in _TYPES.items():
        if key in facts and not isinstance(facts[key], right):
            raise RunUnusable(f"{path / 'run.json'}: {key} is {type(facts[key]).__name__}")
    if not all(isinstance(seed, int) for seed in facts.get("seeds", ())):
        raise RunUnusable(f"{path / 'run.json'}: a seed is no number")
    if not all(str(facts.get(key, "")).isprintable() for key in ("run_id", "name", "variant")):
        raise RunUnusable(f"{path / 'run.json'}: a name is no text")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", facts.get("device", "cpu")):
        raise RunUnusable(f"{path / 'run.json'}: {facts['device']!r} is no device")
    return _Facts(facts)


def read_settings(path: Path) -> dict[str, Any]:
    """The table in a run's ``blueprint.toml``, as it was when the run began. Raises RunUnusable and RunEdited."""
    facts = read_facts(path)
    try:
        table = tomllib.loads(read_text(path / "blueprint.toml"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunUnusable(f"{path} is no run directory: blueprint.toml: {error}") from None
    check_blueprint(path, facts, table)
    return table


def read_blueprint(path: Path) -> Blueprint:
    """The resolved blueprint that a run was started with, checked anew.

    Raises BlueprintError, RunUnusable, and RunEdited where the file has other settings now.
    """
    return loads_resolved(read_settings(path))


def open_run(path: Path) -> Run:
    """Open an existing run directory and hold its lock. Raises RunUnusable and RunEdited."""
    facts = read_facts(path)
    refuse_links(path)
    try:
        lock = open_to_write(path / "lock")
    except OSError as error:
        raise RunUnusable(f"{path}: lock: {error.strerror}") from None
    if not lock_exclusive(lock, LOCK_SECONDS):
        holder = os.pread(lock, 32, 0).decode("ascii", "replace") or "another process"
        os.close(lock)
        raise RunUnusable(f"{path} is in use by process {holder}") from None
    died = os.pread(lock, 32, 0).decode("ascii", "replace")
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return Run(path, facts, lock, died)


def holder(path: Path) -> tuple[str, bool]:
    """The number of the process that trains a run, or of the last one if it died; and whether it is alive.

    The number is empty for a run that was closed in order. Nothing is locked or written.
    """
    try:
        file = open_to_read(path / "lock")
    except (OSError, ValueError):
        return "", False
    with file:
        number = os.pread(file.fileno(), 32, 0).decode("ascii", "replace")
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return number, True
        return number, False
