"""A study's report in the tracking store: one run of its own, replaced at each report, and never among the agents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from composer.studies.execution.outcome import Outcome
from composer.studies.report.report import write_report
from composer.studies.study.load import Study, load_study
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.records import Tracking
from tests.comparison_runs import write_run

STUDY = """
study = 1
blueprint = "dmc/sac_mlp"
tasks = ["walker-walk"]
seeds = 2
[axis]
width = [32, 64]
[set]
"algorithm.batch_size" = "${axis.width}"
"""


class FakeStore:
    """Runs by their tags, with the names of their files and the steps of their pictures."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, str]] = {}
        self.files: list[str] = []
        self.shown: list[tuple[str, int]] = []
        self.refuses = False

    def experiment(self, name: str) -> str:
        return name

    def find_run(self, experiment: str, tags: dict[str, str]) -> str | None:
        return next((run_id for run_id, own in self.runs.items() if tags.items() <= own.items()), None)

    def create_run(self, experiment: str, name: str, tags: dict[str, str], start: int) -> str:
        self.runs[f"id{len(self.runs)}"] = tags | {"experiment": experiment}
        return f"id{len(self.runs) - 1}"

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        if self.refuses:
            raise ConnectionError("no answer")
        self.files.append(f"{folder}/{path.name}" if folder else path.name)

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        self.shown.append((key, step))

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        return set(self.shown)

    def set_status(self, run_id: str, status: str, end_time: int | None = None) -> None:
        self.runs[run_id]["status"] = status

    def why(self, error: Exception) -> str:
        return str(error)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    fake = FakeStore()

    @contextmanager
    def opened(destination: Any) -> Iterator[FakeStore]:
        yield fake

    monkeypatch.setattr(MlflowTracker, "opened", opened)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return fake


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "width.toml").write_text(STUDY)
    return load_study(tmp_path / "width.toml")


def outcomes_of(study: Study, runs: Path, ended: int, *, pictures: bool = True) -> list[Outcome]:
    found = []
    for number, run in enumerate(study.runs):
        path = runs / f"run{number}"
        if number < ended and not path.exists():
            path.parent.mkdir(exist_ok=True)
            overrides = [key for key in run.point.overrides if not key.startswith(("seeds", "environment"))]
            write_run(path, "sac-mlp", {0: (0.0, 1.0), 1: (0.0, 2.0)}, run.task, steps=(5, 10), overrides=overrides)
            Tracking(None, "embedded", "width", False, {}, {}, pictures=pictures).save(path)
        found.append(Outcome(run, "finished" if number < ended else "waiting", 0, path if number < ended else None))
    return found


def test_each_report_replaces_the_one_before_and_its_figures_have_steps(
    study: Study, store: FakeStore, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for ended, steps in ((1, {0, 1}), (2, {0, 1, 2}), (2, {0, 1, 2})):
        assert write_report(study, outcomes_of(study, tmp_path / "runs", ended), folder).problem is None
        assert {step for _, step in store.shown} == steps
    (own,) = store.runs.values()
    assert own == {"composer.role": "report", "study": "width", "experiment": "width", "status": "FINISHED"}
    assert store.shown.count(("curves", 2)) == 1, "the same report again shows nothing twice"
    assert {"report.md", "report.html", "results.csv", "figures/curves.svg", "media/curves.png"} <= set(store.files)


def test_a_store_that_fails_is_said_and_the_report_is_there(study: Study, store: FakeStore, tmp_path: Path) -> None:
    store.refuses = True
    files, _, problem = write_report(study, outcomes_of(study, tmp_path / "runs", 1), tmp_path)
    assert problem == "the report is not in MLflow: no answer" and all(path.is_file() for path in files)


def test_without_pictures_or_tracking_nothing_is_sent(study: Study, store: FakeStore, tmp_path: Path) -> None:
    assert write_report(study, outcomes_of(study, tmp_path / "runs", 1, pictures=False), tmp_path).problem is None
    (tmp_path / "runs" / "run0" / "tracking.json").unlink()
    assert write_report(study, outcomes_of(study, tmp_path / "runs", 1), tmp_path).problem is None
    assert not store.runs and not (tmp_path / "media").exists()
