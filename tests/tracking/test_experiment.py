"""One experiment per project or study; a run stays in the one in which it began."""

import os
from pathlib import Path

import pytest

from composer.tracking import uploader as module
from composer.tracking.base import EXPERIMENT
from composer.tracking.experiment import experiment_in, experiment_name, project_experiment
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import RunDescription, Tracking
from composer.tracking.uploader import Uploader


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("simba-study", "simba-study"),
        ("Plasticity, 2nd try", "Plasticity_ 2nd try"),
        (".hidden", "hidden"),
        ("été", "t_"),
        ("—", "composer"),
        ("x" * 250, "x" * 200),
    ],
)
def test_a_project_is_called_like_its_folder(folder: str, name: str) -> None:
    assert project_experiment(Path("/home/me") / folder / "runs") == experiment_name(folder) == name
    assert MlflowTracker(experiment=name).experiment == name  # which the rule of blueprints takes


def test_the_root_folder_has_no_name() -> None:
    assert project_experiment(Path("/runs")) == "composer"
    assert EXPERIMENT.startswith("^")


def started(run_dir: Path, experiment: str, chosen: str | None = None) -> str:
    Uploader.start(run_dir, MlflowTracker(experiment=chosen), RunDescription(experiment=experiment), run_dir.parent)
    found = Tracking.load(run_dir)
    assert found is not None
    return found.experiment


def test_a_resumed_run_stays_and_the_newest_run_is_shown(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(module.Uploader, "_spawn", lambda self: None)
    runs = run_dir.parent
    assert experiment_in(runs) == "composer"  # where runs of older versions are
    assert started(run_dir, "project") == "composer"
    other = runs / "other"
    other.mkdir()
    assert started(other, "project") == "project"
    assert started(other, "study") == "project"
    os.utime(run_dir / Tracking.file, (1, 1))
    assert experiment_in(runs) == "project"
    assert started(other, "study", chosen="mine") == "mine"
    assert experiment_in(runs.parent / "none") == project_experiment(runs.parent / "none")
