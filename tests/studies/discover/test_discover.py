"""Rounds of discovery: on simulated scores, on a study whose training is replaced, and on one that is trained."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.discover import measure
from composer.cli import app
from composer.studies import Refused
from composer.studies.discover import discover as study_module
from composer.studies.discover.discover import Question, discover, look
from composer.studies.discover.evidence import Evidence, read, runs_of
from composer.studies.discover.report import text
from composer.studies.execution.outcome import Outcome
from composer.studies.study.load import Study, load_study
from composer.studies.study.points import StudyRun

STUDY = """
study = 1
name = "rates"
blueprint = "warm_start/digits"
seeds = 2
[axis]
rate = [1e-4, 1e-3, 1e-2]
cold = [false, true]
[set]
"optimizers.model.learning_rate" = "${axis.rate}"
"training.env_steps" = 20
"training.log_every" = 10
"evaluation.every" = 10
"checkpoint.every" = 20
"environment.phases" = [{ updates = 10, subset = 0.1 }, {}]
"compute.compile" = "never"
"tracking.kind" = "none"
[when.cold]
variant = "cold_start"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rates.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def study(file: Path) -> Study:
    return load_study(file)


@pytest.fixture
def trained(study: Study, monkeypatch: pytest.MonkeyPatch) -> dict[int, np.ndarray]:
    """What was trained so far, by point: two seeds with score 10 at the last point, else the number of the point."""
    scores: dict[int, np.ndarray] = {}

    def train(runs: Sequence[StudyRun], folder: Path, runs_dir: Path, say: object, jobs: int) -> list[Outcome]:
        done = []
        for run in runs:
            index = next(k for k, point in enumerate(study.points) if point == run.point)
            assert index not in scores
            if index == 3:
                done.append(Outcome(run, "failed", 6, None, "no room"))
                continue
            scores[index] = np.array([-0.1, 0.1]) + (10 if index == 5 else index)
            done.append(Outcome(run, "finished", 0, None))
        return done

    monkeypatch.setattr(study_module, "train_all", train)
    monkeypatch.setattr(study_module, "read", lambda *_: Evidence(tuple(scores), tuple(scores.values()), ()))
    return scores


def rounds(study: Study, count: int, question: Question, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    return discover(study, question, Path("unused"), Path("unused"), count, 1, say)


def test_rounds_train_new_points_until_all_are_trained(study: Study, trained: dict[int, np.ndarray]) -> None:
    said: list[str] = []
    table = rounds(study, 9, Question("evaluation/accuracy", 2, 2), said.append)
    assert sorted(trained) == [0, 1, 2, 4, 5]
    assert table["suggested"] == []
    assert table["subset"][0]["index"] == 5
    assert table["notes"] == ["rate=0.001, cold=true on phases: failed: no room"]
    assert said[0].startswith("round 1 of 9: rate=0.0001, cold=false; ")
    assert "every point is trained" in text(table) and "no room" in text(table)


def test_the_first_rounds_fill_the_space_and_later_ones_say_what_they_expect(
    study: Study, trained: dict[int, np.ndarray]
) -> None:
    first = rounds(study, 0, Question(next=2))
    assert first["design"] == "space-filling" and "to fill the space" in text(first)
    assert [each["index"] for each in first["suggested"]] == [0, 5]
    later = rounds(study, 2, Question("evaluation/accuracy", 2, 2))
    best = later["subset"][0]
    assert best["index"] == 5
    assert best["effect"]["low"] < 10 < best["effect"]["high"]
    assert all(each["index"] not in trained for each in later["suggested"])
    for each in later["suggested"]:
        assert each["information_nats"] > 0 and each["effect"]["low"] < each["effect"]["high"]
        assert 0 <= each["in_subset"] <= 1 and each["distance"] > 0
    assert later == rounds(study, 0, Question("evaluation/accuracy", 2, 2)) | {"notes": later["notes"]}


def test_what_diverged_is_not_chosen_again(study: Study) -> None:
    evidence = Evidence((0, 5), (np.zeros(2), np.ones(2)), (4,))
    table = look(study, evidence, Question(next=9), {3})
    assert sorted(each["index"] for each in table["suggested"]) == [1, 2]
    assert "rate=0.01, cold=false diverged and is not chosen again" in text(table)


def test_a_study_of_one_point_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text('study = 1\nblueprint = "warm_start/digits"\n')
    with pytest.raises(Refused, match="one point"):
        rounds(load_study(path), 0, Question())


def test_a_metric_that_is_not_written_is_refused_before_training(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_module, "train_all", lambda *_: pytest.fail("it trains"))
    with pytest.raises(Refused, match="did you mean 'evaluation/accuracy'"):
        rounds(study, 1, Question("evaluation/acuracy"))


def test_a_planted_pair_is_found_in_fewer_runs_than_random_choice() -> None:
    """The first two spaces of docs/benchmarks/discover.md: fewer than half of the 121 runs of random choice."""
    found = measure(range(2))
    assert all(row["found"] < found["mean_runs_random"] / 2 for row in found["spaces"])
    assert all(row["printed"] < found["mean_runs_random"] / 2 for row in found["spaces"])


@pytest.mark.slow
def test_rounds_on_a_study_that_is_trained(file: Path, study: Study, tmp_path: Path) -> None:
    """Slow: it trains four runs in processes. Their scores are read back, and the next call goes on from them."""
    arguments = ["discover", str(file), "--metric", "evaluation/accuracy", "--next", "2", "--subset", "2"]
    command = [*arguments, "--runs", str(tmp_path / "runs"), "--jobs", "2", "--json"]
    found = CliRunner().invoke(app, [*command, "--run", "2"])
    assert found.exit_code == 0, found.stderr
    table = json.loads(found.stdout)
    evidence = read(study, "evaluation/accuracy", tmp_path / "runs")
    assert len(evidence.trained) == table["trained"] == 4
    assert all(len(scores) == 2 and (scores > 0).all() for scores in evidence.scores)
    assert not {each["index"] for each in table["suggested"]} & set(evidence.trained)
    assert len(runs_of(study, 3)) == 1 and runs_of(study, 3)[0].point == study.points[3]
    losses = read(study, "model/loss", tmp_path / "runs")
    assert all((scores < 0).all() for scores in losses.scores)
    again = json.loads(CliRunner().invoke(app, command).stdout)
    assert again == table
