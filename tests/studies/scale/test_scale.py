"""``composer scale`` from its arguments to its answer, on journals that follow a known law."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.execution.engine import Outcome
from composer.studies.scale import scale as study
from composer.studies.study.points import StudyRun
from composer.tracking.journal import Journal

ARGUMENTS = (
    *("warm_start/digits", "environment.phases=[{}]", "~interventions.fresh_optimizer", "seeds=[0, 1, 2, 3, 4]"),
    *("--over", "networks.model.trunk.width=16,32,64,128,256", "--metric", "evaluation/accuracy"),
)
RISE = 20_000


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs whose accuracy reaches 0.8 after ``RISE / width`` steps, of ``@ema`` after ``RISE / sqrt(width)``.

    ``limit`` ends them before; ``failed`` names sizes whose runs fail; ``offset`` is added for the first agent.
    """
    options: dict[str, Any] = {"limit": 10_000, "failed": (), "offset": 0.0}

    def train(runs: Sequence[StudyRun], folder: Path, runs_dir: Path, say: object, jobs: int) -> list[Outcome]:
        return [
            Outcome(run, "failed", 6, None, "no room")
            if run.point.values["width"] in options["failed"]
            else Outcome(run, "finished", 0, write(run))
            for run in runs
        ]

    def write(run: StudyRun) -> Path:
        width = float(str(run.point.values["width"]))
        path = tmp_path / run.key
        path.mkdir()
        rng = np.random.default_rng(int(width))
        power = -0.5 if run.arguments[0].endswith("@ema") else -1.0
        offset = options["offset"] if power == -1 else 0.0
        reaches = (offset + RISE * width**power) * np.exp(0.1 * rng.standard_normal(5))
        with Journal(path / "journal.jsonl") as journal:
            for step in range(10, options["limit"] + 1, max(10, options["limit"] // 100)):
                for seed, at in enumerate(reaches):
                    metrics = {"evaluation/accuracy": 0.8 * step / at}
                    journal.append({"type": "metrics", "env_step": step, "seed": seed, "metrics": metrics})
        return path

    monkeypatch.setattr(study, "train_all", train)
    return options


def scale(*arguments: str, tmp_path: Path) -> dict[str, Any]:
    found = CliRunner().invoke(app, ["scale", *ARGUMENTS, *arguments, "--runs", str(tmp_path / "runs"), "--json"])
    assert found.stdout, found.stderr
    return dict(json.loads(found.stdout)) | {"said": found.stderr, "exit": found.exit_code}


def test_the_size_that_is_held_out_is_predicted_from_the_others(journals: dict[str, Any], tmp_path: Path) -> None:
    plot, table = tmp_path / "law.png", tmp_path / "law.csv"
    files = ("--plot", str(plot), "--csv", str(table))
    made = scale("--threshold", "0.8", "--hold-out", "largest", "--predict", "1024", *files, tmp_path=tmp_path)
    (series,) = made["series"]
    (held,) = series["held_out"]
    assert series["law"]["b"]["low"] < -1 < series["law"]["b"]["high"]
    assert held["x"] == 256 and held["beyond"] == 2
    assert held["of_new_seeds"]["low"] < RISE / 256 < held["of_new_seeds"]["high"]
    # Held out means that its seeds do not count.
    widths = [each["size"] for each in series["sizes"] if not each["held_out"]]
    slope = np.polyfit(
        np.log(np.repeat(widths, 5)),
        np.log(np.concatenate([each["values"] for each in series["sizes"] if not each["held_out"]])),
        1,
    )[0]
    assert series["law"]["b"]["value"] == pytest.approx(slope, rel=1e-6)
    measured = np.exp(np.log(series["sizes"][-1]["values"]).mean())
    assert held["measured"]["value"] == pytest.approx(measured)
    assert held["relative_error"] == pytest.approx(measured / held["of_new_seeds"]["value"] - 1)
    assert series["predictions"][0]["beyond"] == 8
    said = " ".join(made["said"].split())
    assert "the interval" in said and "an extrapolation: 8 times beyond the sizes fitted" in said
    assert plot.stat().st_size > 10_000
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 25 and sum(row["held_out"] == "True" for row in rows) == 5


def test_seeds_that_never_reach_the_threshold_are_said_and_counted(journals: dict[str, Any], tmp_path: Path) -> None:
    journals["limit"] = 1_250
    made = scale("--threshold", "0.8", tmp_path=tmp_path)
    (series,) = made["series"]
    never = [each["never_reached"] for each in series["sizes"]]
    assert 0 < never[0] < 5 and not any(never[1:])
    assert f"{never[0]} of 5 seeds never reached the threshold" in made["said"]
    assert series["law"]["b"]["low"] < -1 < series["law"]["b"]["high"]


def test_two_agents_have_two_laws_and_a_difference(journals: dict[str, Any], tmp_path: Path) -> None:
    made = scale("warm_start/digits@ema", *ARGUMENTS[1:4], "--threshold", "0.8", tmp_path=tmp_path)
    assert [each["name"] for each in made["series"]] == ["warm_start/digits", "warm_start/digits@ema"]
    (difference,) = made["differences"]
    exponents = [each["law"]["b"]["value"] for each in made["series"]]
    assert difference["value"] == pytest.approx(exponents[1] - exponents[0])
    assert difference["low"] < 0.5 < difference["high"]
    assert "the exponents differ" in made["said"]


def test_exponents_of_different_laws_are_not_compared(journals: dict[str, Any], tmp_path: Path) -> None:
    """Where one agent's law has an offset and the other's has none, both are compared without."""
    journals["offset"] = 800.0
    made = scale("warm_start/digits@ema", *ARGUMENTS[1:4], "--threshold", "0.8", tmp_path=tmp_path)
    forms = {each["law"]["form"] for each in made["series"]}
    assert forms == {"power", "offset"}
    plain = [next(law["b"]["value"] for law in each["laws"] if law["form"] == "power") for each in made["series"]]
    (difference,) = made["differences"]
    assert difference["form"] == "power"
    assert difference["value"] == pytest.approx(plain[1] - plain[0])


def test_a_size_that_fails_is_named_and_three_must_be_left(journals: dict[str, Any], tmp_path: Path) -> None:
    journals["failed"] = (32,)
    made = scale("--threshold", "0.8", tmp_path=tmp_path)
    assert len(made["series"][0]["sizes"]) == 4
    assert "width=32 on phases: failed: no room" in made["said"]


def test_too_few_sizes_that_trained_are_refused(journals: dict[str, Any], tmp_path: Path) -> None:
    journals["failed"] = (32, 64)
    made = scale("--threshold", "0.8", "--hold-out", "largest", tmp_path=tmp_path)
    assert made["exit"] == made["exit_code"] == 2
    assert "at least 3 trained sizes, got 2 to fit" in made["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--hold-out", "512"), "no size 512 to hold out; it has 16, 32, 64, 128, 256"),
        (("--hold-out", "wide"), "takes a size or 'largest', got 'wide'"),
        (("--metric", "evaluation/acuracy"), "did you mean 'evaluation/accuracy'"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_training(
    arguments: Sequence[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(study, "train_all", lambda *_: pytest.fail("it trains"))
    command = ["scale", *ARGUMENTS[:6], *arguments, "--runs", str(tmp_path), "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 2 and message in json.loads(found.stdout)["message"]
