"""A dry run does one of everything, keeps nothing, and ends as a run would where something is wrong."""

import tempfile
from pathlib import Path

import pytest
from tiny_runs import DRIFT, tiny

from composer.environments.interface import EnvironmentFailure
from composer.training.assemble.dry_run import dry_run
from composer.training.evaluation import EpisodeEvaluator
from composer.training.session import Session

LONG = (DRIFT, "algorithm.warmup_interactions=1_000", "training.env_steps=2_000", "replay.capacity=2_000")


def test_it_makes_one_update_one_evaluation_and_one_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    saved: list[tuple[int, int]] = []
    save = Session.save

    def noted(session: Session) -> None:
        save(session)
        saved.append((session.clock.interactions, int(session.learner.updates.max())))

    monkeypatch.setattr(Session, "save", noted)
    said: list[str] = []
    table = dry_run(tiny(*LONG), said.append)
    assert [row["step"] for row in table["steps"]] == [
        "building networks and environments",
        "interacting 65 times at the most",
        "making one update",
        "evaluating once",
        "writing a checkpoint, and reading it again",
    ]
    assert all(row["seconds"] >= 0 for row in table["steps"]) and len(said) == 5
    assert saved == [(65, 1)]
    assert [*tmp_path.glob("composer-dry-run*")] == []


def test_it_ends_as_a_run_whose_environment_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise EnvironmentFailure("broken", 0, 0, 0, 0, None)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(EpisodeEvaluator, "returns", fails)
    with pytest.raises(EnvironmentFailure):
        dry_run(tiny(*LONG), lambda text: None)
    assert [*tmp_path.glob("composer-dry-run*")] == []
