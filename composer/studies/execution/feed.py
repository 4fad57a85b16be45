"""Runs that are chosen while others train, such as the trials of a search.

Tests: tests/studies/search/test_command.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from composer.studies.execution.outcome import Outcome
from composer.studies.study.points import StudyRun


class Feed(Protocol):
    """Gives the driver of a study runs as there is room for them, and says which are not worth their time."""

    @property
    def is_strict(self) -> bool:
        """Whether it ever gives up a run."""

    def more(self) -> Sequence[StudyRun]:
        """Further runs, of settings that it has not given before; none where all depends on those that train."""

    def gives_up(self, run: StudyRun, directory: Path) -> bool:
        """Whether a run that trains in ``directory`` is to be stopped: it saves itself, and is not continued."""

    def ended(self, outcome: Outcome) -> None:
        """Take up how a run ended, also one that was given at the start, or had ended before."""


class NoFeed:
    """All runs are known at the start, and train to their end."""

    is_strict = False

    def more(self) -> Sequence[StudyRun]:
        """None."""
        return ()

    def gives_up(self, run: StudyRun, directory: Path) -> bool:
        """Never."""
        return False

    def ended(self, outcome: Outcome) -> None:
        """Nothing depends on it."""
