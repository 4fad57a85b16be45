"""``composer.train``: a run as the command line makes it, and its journal as arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import DRIFT, EVENTFUL, TINY, result, rows, tiny
from typer.testing import CliRunner

import composer
from composer.blueprint.checks import meaning as verify
from composer.cli import app
from composer.tracking.journal import Journal
from composer.training import launch
from composer.training.runs.results import Series, read_metrics

SHORT = ("training.env_steps=100", "evaluation.every=50", "evaluation.episodes=3", "checkpoint.every=50")


def test_a_result_is_what_the_run_has_left(tmp_path: Path) -> None:
    blueprint = tiny(*EVENTFUL, "evaluation.episodes=3")
    done = composer.train(blueprint, tmp_path / "runs")
    assert done.path.parent == tmp_path / "runs"
    assert done.blueprint == blueprint
    assert done.returns.shape == (2, 3)
    assert done.final_return == pytest.approx(done.returns.mean())
    assert done.table["status"] == "finished"
    last = done.metrics["evaluation/return"]
    assert last.env_steps.tolist() == [60, 120, 140]
    assert last.values[:, -1].tolist() == pytest.approx(done.returns.mean(1).tolist())
    written = [row for row in rows(done.path) if row["type"] == "metrics" and row["seed"] is not None]
    assert {name for row in written for name in row["metrics"]} == done.metrics.keys()
    for row in written:
        for name, value in row["metrics"].items():
            steps, values = done.metrics[name]
            assert values[blueprint.seeds.index(row["seed"]), steps.tolist().index(row["env_step"])] == value
    held = sum(int(np.isfinite(series.values).sum()) for series in done.metrics.values())
    assert held == sum(len(row["metrics"]) for row in written)


def test_the_command_line_makes_the_same_run(tmp_path: Path) -> None:
    ours = composer.train(tiny(DRIFT, *SHORT), str(tmp_path / "ours"), variant="mine")
    command = ["train", str(TINY), DRIFT, *SHORT, "--runs", str(tmp_path / "theirs"), "--json"]
    output = CliRunner().invoke(app, command, catch_exceptions=False)
    theirs = json.loads(output.stdout.splitlines()[-1])
    assert result(ours.path) == result(Path(theirs["run"]))
    assert {*theirs, "notes"} == ours.table.keys()
    assert json.loads((ours.path / "run.json").read_text())["variant"] == "mine"


VARIANTS = (
    "".join(f"\n[variants.v{number}{60 * 'x'}]\n" for number in range(4))
    + """
[variants.small]
networks.critic.trunk.width = 8
[variants.slow]
optimizers.critic.learning_rate = 1e-5
"""
)


def called(path: Path) -> str:
    return str(json.loads((path / "run.json").read_text())["variant"])


def test_a_run_is_called_after_the_variants_that_were_combined(tmp_path: Path) -> None:
    """On the command line and in Python, however the combination is written."""
    file = tmp_path / "mine.toml"
    file.write_text(TINY.read_text() + VARIANTS)
    over = (DRIFT, *SHORT)
    chosen = composer.load(f"{file}@small+slow", over)
    path = composer.train(chosen, tmp_path / "python").path
    assert (called(path), path.name.startswith("tiny-small+slow-2")) == ("small+slow", True)
    assert called(composer.train(chosen, tmp_path / "python", variant=["a", "b"]).path) == "a+b"
    with pytest.raises(composer.BlueprintError, match=r'variant: use \[a-z0-9._-\].* got "a/b"'):
        composer.train(chosen, tmp_path / "python", variant="a/b")
    small = f"{file}@small"
    ways = [f"{small}+slow"], [file, "--variant", "small", "--variant", "slow"], [small, "--variant", "slow"]
    for number, words in enumerate(ways):
        runs = tmp_path / f"runs{number}"
        CliRunner().invoke(app, ["train", *map(str, words), *over, "--runs", str(runs)], catch_exceptions=False)
        (run,) = runs.iterdir()
        assert called(run) == "small+slow"
        assert result(run) == result(path)
    many = "+".join(f"v{number}{60 * 'x'}" for number in range(4))
    path = composer.train(composer.load(f"{file}@{many}", over), tmp_path / "python").path
    assert called(path) == many and len(path.name) < 200


def test_a_run_that_is_resumed_has_all_its_metrics(tmp_path: Path) -> None:
    done = composer.train(tiny(DRIFT, *SHORT), tmp_path)
    again = launch.resume(done.path, inexact=False, quiet=True)
    assert again.metrics.keys() == done.metrics.keys()
    assert all(np.array_equal(again.metrics[name].values, series.values) for name, series in done.metrics.items())
    assert (again.returns == done.returns).all()


def test_quiet_runs_print_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    composer.train(tiny(DRIFT, *SHORT), tmp_path)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_written_for_a_blueprint_that_makes_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = tiny(DRIFT)
    with pytest.raises(composer.BlueprintError, match="SAC needs an average 'target_critic'"):
        composer.train(blueprint.model_copy(update={"averages": {}}), tmp_path)
    monkeypatch.setattr(verify, "available_bytes", lambda: 1)
    with pytest.raises(composer.BlueprintError, match="nothing allocated"):
        composer.train(blueprint.model_copy(), tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_metrics_that_some_seeds_lack_are_nan(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"type": "event", "env_step": 1, "seed": 5})
        journal.append({"type": "metrics", "env_step": 20, "seed": 5, "metrics": {"a": 1.0, "b": float("inf")}})
        journal.append({"type": "metrics", "env_step": 10, "seed": 3, "metrics": {"a": float("nan")}})
        journal.append({"type": "metrics", "env_step": 10, "seed": None, "metrics": {"cpu": 1.0}})
    found = read_metrics(tmp_path / "journal.jsonl", [3, 5])
    expected = {
        "a": Series(np.array([10, 20]), np.array([[np.nan, np.nan], [np.nan, 1.0]])),
        "b": Series(np.array([20]), np.array([[np.nan], [np.inf]])),
    }
    assert found.keys() == expected.keys()
    for name, series in expected.items():
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found[name], series, strict=True))
        assert found[name].env_steps.dtype == np.int64
