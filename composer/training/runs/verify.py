"""``composer verify``: every file of a run against the hashes that the run holds of it. Nothing is changed.

Tests: tests/faults/test_verify.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.spec.errors import ComposerError
from composer.spec.run_files import read_table
from composer.tracking.journal import read
from composer.tracking.records import JOURNAL, TIMING, Ended, StoredRun, Tracking, Upload
from composer.training.runs import directory
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints
from composer.training.runs.disk import seal
from composer.training.runs.edited import RunEdited


@dataclass
class Findings:
    """What was found in a run directory."""

    damages: list[str] = field(default_factory=list)
    """A line on each damaged file, which begins with its path."""
    notes: list[str] = field(default_factory=list)
    """Lines on what a kill leaves behind, and what the next resume or checkpoint removes."""
    checkpoints: list[int] = field(default_factory=list)
    """Environment steps of the checkpoints of which every file is sound."""
    best: list[int] = field(default_factory=list)
    """Environment steps of the best agents of which every file is sound."""


def verify(path: Path) -> dict[str, Any]:
    """What ``composer verify --json`` prints; ``exit_code`` is 4 where a file is damaged, else 0.

    Raises RunUnusable where ``path`` has no ``run.json``.
    """
    found, facts = Findings(), None
    try:
        facts = directory.read_facts(path)
        directory.read_settings(path)
    except RunEdited as edited:
        found.damages.append(str(edited))
    except directory.RunUnusable as unusable:
        if not (path / "run.json").exists():
            raise
        found.damages.append(str(unusable))
    _attempt(lambda: _check_parameters(path / "parameters.json", facts or {}), path / "parameters.json", found)
    for record in (Tracking, Ended, StoredRun, Upload):
        if (path / record.file).exists():
            _attempt(lambda file=path / record.file: read_table(file), path / record.file, found)  # type: ignore[misc]
    offset = _check_checkpoints(path, Checkpoints(path, facts=facts), found)
    _check_journal(path / JOURNAL, offset, found)
    _check_journal(path / TIMING, 0, found)
    status, code = ("damaged", CheckpointDamaged.exit_code) if found.damages else ("sound", 0)
    return {"run": str(path), "status": status, "exit_code": code, **vars(found)}


def text(table: dict[str, Any]) -> str:
    """A line per damage and note, and the verdict."""
    steps = ", ".join(f"{step:,}" for step in table["checkpoints"]) or "none"
    lines = [*(f"damaged: {line}" for line in table["damages"]), *table["notes"]]
    return "\n".join([*lines, f"{table['run']} is {table['status']}; sound checkpoints: {steps}"])


def _check_checkpoints(path: Path, checkpoints: Checkpoints, found: Findings) -> int:
    """Check all checkpoints; returns the bytes that the journal held at the newest sound one."""
    if not checkpoints.steps() and checkpoints.were_saved:
        found.damages.append(f"{path / 'checkpoints'}: no checkpoint is left, though one was saved")
    hashed: dict[str, dict[str, Any]] = {}
    offset = 0
    for step in checkpoints.steps():
        if damages := [*checkpoints.damages(step, hashed)]:
            found.damages += [line for line in damages if line not in found.damages]
            continue
        found.checkpoints.append(step)
        offset = read_table(checkpoints.folder(step) / "state.json").get("journal_offset", 0)
    for step in checkpoints.best.steps():
        if damages := [*checkpoints.best.damages(step)]:
            found.damages += damages
        else:
            found.best.append(step)
    replay = path / "replay"
    for file in sorted(replay.iterdir()) if replay.is_dir() else ():
        if f"replay/{file.name}" not in hashed:
            found.notes.append(f"{file}: no checkpoint needs it; the next one removes it")
    return int(offset)


def _check_journal(path: Path, needed: int, found: Findings) -> None:
    """Check every row of a journal, which holds at least ``needed`` bytes of whole rows."""
    reader = read(path)
    rows = sum(1 for _ in reader)
    torn = reader.problem is not None and "torn" in reader.problem
    if reader.problem is not None and not torn:
        found.damages.append(f"{path}: {reader.problem}")
    elif reader.offset < needed:
        found.damages.append(
            f"{path}: {reader.offset:,} bytes of whole rows; the newest checkpoint was taken at {needed:,}"
        )
    elif torn:
        found.notes.append(f"{path}: {rows:,} rows and a torn one, which a resume cuts off")


def _check_parameters(path: Path, facts: Mapping[str, Any]) -> None:
    if seal(read_table(path)) != facts.get("parameters_sha256", seal(read_table(path))):
        raise ValueError("its SHA-256 is not the one in run.json")


def _attempt(action: Callable[[], object], path: Path, found: Findings) -> None:
    try:
        action()
    except (ComposerError, OSError, ValueError) as error:
        found.damages.append(f"{path}: {error}")
