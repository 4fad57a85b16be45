"""How a run of a study ended. Tests: tests/studies/execution/test_engine.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.studies.study.points import StudyRun


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    run: StudyRun
    status: str
    """``finished``, ``diverged``, ``failed``, or ``stopped`` early by what fed it."""
    exit_code: int
    directory: Path | None
    """Its run directory, where there is one."""
    message: str = ""
    digest: str | None = None
    """The hash of its final state, as ``composer digest`` prints it."""
    was_before: bool = False
    """Whether it had ended before, so that nothing was trained."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What ``composer train --json`` or ``composer resume --json`` printed, if one was run."""


@dataclass(frozen=True)
class Unit:
    """Runs that one process trains: usually one; several train in one program."""

    runs: tuple[StudyRun, ...]
    arguments: tuple[str, ...]
    """The arguments of ``composer train``, without ``--runs`` and ``--json``."""


def one_each(runs: Sequence[StudyRun]) -> list[Unit]:
    """A process for each run."""
    return [Unit((run,), run.arguments) for run in runs]
