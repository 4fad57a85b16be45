"""How runs are closed: exit codes of errors, and that everything is closed once, whatever happened."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from tiny_runs import DRIFT, begin

from composer.blueprint import BlueprintError
from composer.environments.interface import EnvironmentFailure, InvalidAction, RenderingUnavailable
from composer.environments.labelled.datasets import DataUnusable
from composer.tracking.base import StoreRefused
from composer.tracking.journal import JournalError
from composer.training.assemble import NotTheSame
from composer.training.compile.capture import Unavailable
from composer.training.divergence import Diverged
from composer.training.endings import EXPECTED, OpenRun, closing, exit_code
from composer.training.fork import NotForkable
from composer.training.interrupts import Interrupted
from composer.training.loop import Outcome
from composer.training.runs.checkpoint import CheckpointDamaged
from composer.training.runs.directory import RunUnusable, open_run

DONE = Outcome([[1.0]], 1, 1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BlueprintError([]), 2),
        (NotTheSame(), 2),
        (NotForkable(), 2),
        (StoreRefused(), 2),
        (Unavailable(), 2),
        (RenderingUnavailable(), 6),
        (RunUnusable(), 3),
        (JournalError(), 3),
        (CheckpointDamaged(), 4),
        (Diverged(), 5),
        (InvalidAction("too large"), 5),
        (EnvironmentFailure("fell", 0, 0, 0, 0, None), 6),
        (DataUnusable(), 6),
        (MemoryError(), 7),
        (torch.OutOfMemoryError(), 7),
        (OSError(), 7),
        (KeyboardInterrupt(), 130),
        (Interrupted(15), 143),
    ],
)
def test_every_expected_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code and isinstance(error, EXPECTED)


def test_other_errors_are_bugs() -> None:
    assert exit_code(ZeroDivisionError()) == 1 and not isinstance(ZeroDivisionError(), EXPECTED)


def opened(folder: Path, number: int = 2) -> list[OpenRun]:
    return [OpenRun(*begin(folder / str(index), DRIFT, "tracking.kind='none'")) for index in range(number)]


def assert_closed(runs: list[OpenRun]) -> None:
    for each in runs:
        again = open_run(each.run.path)  # The lock is free.
        again.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            each.run.close()


def test_an_expected_error_ends_all_runs_and_goes_no_further(tmp_path: Path) -> None:
    runs = opened(tmp_path)
    with closing(runs):
        runs[0].end = DONE
        raise Diverged("wild")
    assert [each.ending().exit_code for each in runs] == [5, 5]
    assert runs[1].ending().message == f"wild\ngo on with: composer resume {runs[1].run.path}"
    assert_closed(runs)


def test_a_bug_closes_all_runs_too(tmp_path: Path) -> None:
    runs = opened(tmp_path)
    with pytest.raises(ZeroDivisionError), closing(runs):
        raise ZeroDivisionError
    assert [each.ending().status for each in runs] == ["failed", "failed"]
    assert_closed(runs)


def test_a_finished_run_whose_journal_cannot_be_written_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = opened(tmp_path)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs[0].session.journal, "close", full)
    with closing(runs):
        for each in runs:
            each.end = DONE
    assert [each.ending().exit_code for each in runs] == [7, 0]
    assert "No space left on device" in runs[0].ending().message
    assert_closed(runs)
