"""``composer study run`` and ``composer study status``, with runs that train in this process."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import TINY, stopped
from tiny_studies import Here, here
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.compare.read_runs import read_runs
from composer.studies.execution.ledger import LEDGER, holding
from composer.studies.execution.study_run import selected
from composer.studies.study.load import load_study
from composer.training import assemble
from composer.training.runs.directory import open_run

__all__ = ["here"]
STUDY = f"""study = 1
name = "widths"
blueprint = "{TINY}"
seeds = 2
[axis]
width = [8, 12]
rate = [1e-3, 1e29]
[[exclude]]
width = 12
rate = 1e29
[set]
"networks.critic.trunk.width" = "${{axis.width}}"
"optimizers.critic.learning_rate" = "${{axis.rate}}"
"environment" = {{ kind = "test/drift" }}
"training.env_steps" = 100
"training.log_every" = 20
"evaluation.every" = 100
"checkpoint.every" = 40
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "widths.toml"
    path.write_text(STUDY)
    return path


def called(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """Run a command with ``--json``; its exit code, its object, and what it says to people."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    return done.exit_code, json.loads(done.stdout.splitlines()[-1]), done.stderr


def states(table: Mapping[str, Any], key: str) -> list[str]:
    """The states of the runs of a table."""
    return [row[key] for row in table["runs"]]


def test_a_study_file_becomes_runs_outcomes_and_a_comparison(study: Path, here: Here, tmp_path: Path) -> None:
    runs, folder = tmp_path / "runs", tmp_path / "studies" / "widths"
    code, table, said = called("study", "run", study, "--runs", runs, "--only", "rate=1e+29")
    assert (code, states(table, "status"), table["diverged"], table["failed"]) == (0, ["diverged"], 1, 0)
    assert "widths: 3 runs" in said.splitlines()[0]
    code, table, said = called("study", "run", study, "--runs", runs)
    assert (code, states(table, "status")) == (0, ["finished", "diverged", "finished"])
    assert here.commands == ["train"] * 3 and [row["was_before"] for row in table["runs"]] == [False, True, False]
    assert all(row["digest"] for row in table["runs"] if row["status"] == "finished")
    first = table["runs"][0]
    assert first["final_return"] is not None and first["values"] == {"width": 8, "rate": 0.001}
    assert f"compare them: composer compare {folder}" in said
    rows = list(csv.DictReader((folder / "outcomes.csv").read_text().splitlines()))
    assert [(row["width"], row["rate"], row["status"]) for row in rows] == [
        ("8", "0.001", "finished"),
        ("8", "1e+29", "diverged"),
        ("12", "0.001", "finished"),
    ]
    found = [each.agent for each in read_runs([folder], "evaluation/return")]
    assert len(found) == 3 and str(found[0]).endswith("(width=8, rate=1e+29)")
    shutil.rmtree(table["runs"][2]["run"])
    _, table, _ = called("study", "status", study, "--runs", runs)
    assert states(table, "state") == ["finished", "diverged", "waiting"]


def test_a_failure_is_named_and_the_command_ends_with_one(study: Path, here: Here, tmp_path: Path) -> None:
    study.write_text(STUDY.replace('kind = "test/drift"', 'kind = "test/drift", raises_at = 70'))
    code, table, said = called("study", "run", study, "--runs", tmp_path / "runs", "--only", "width=12")
    assert (code, states(table, "status"), table["runs"][0]["exit_code"]) == (1, ["failed"], 6)
    assert "width=12, rate=0.001 on test/drift failed: " in said and "the same command again tries those" in said
    _, table, _ = called("study", "status", study, "--runs", tmp_path / "runs")
    assert states(table, "state") == ["waiting", "waiting", "failed"] and "no mass" in table["runs"][2]["message"]


def test_the_status_of_a_study_in_training_is_read_without_a_trace(study: Path, here: Here, tmp_path: Path) -> None:
    runs, folder = tmp_path / "runs", tmp_path / "studies" / "widths"
    code, table, _ = called("study", "status", study, "--runs", runs)
    assert code == 0 and states(table, "state") == ["waiting"] * 3 and not folder.exists()
    called("study", "run", study, "--runs", runs, "--only", "width=12")
    first, diverging, _ = load_study(study).runs
    stopped(*assemble.start(first.blueprint, runs, None), at=60)
    (folder / LEDGER).write_bytes((folder / LEDGER).read_bytes()[:-4])
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    _, table, said = called("study", "status", study, "--runs", runs)
    assert states(table, "state") == ["interrupted", "waiting", "finished"] and states(table, "done") == [60, 0, 100]
    assert "torn" in table["ledger_problem"] and "the ledger could not be read to its end" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert table["process"] is None and "no process trains it" in said
    with holding(folder) as ledger:
        ledger.append("started", diverging.key, launcher="local", job="2", answer="a.json", members=[])
        held = open_run(Path(table["runs"][0]["run"]))
        _, table, said = called("study", "status", study, "--runs", runs)
        held.close()
    assert states(table, "state") == ["running", "running", "finished"] and table["process"] == f"{os.getpid()}"
    assert f"process {os.getpid()} trains it" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "widht=8"), "no axis named \"widht\"; did you mean 'width'?"),
        (("--only", "width=9"), "width has no value 9; it has 8, 12"),
        (("--only", "width=12,rate=1e+29"), "no point of widths has these values together"),
        (("--only", "width"), "expected AXIS=VALUE"),
        (("--only", "task=walk"), "task has no value walk; it has "),
    ],
)
def test_points_that_are_not_there_are_refused(
    arguments: Sequence[str], message: str, study: Path, tmp_path: Path
) -> None:
    code, table, said = called("study", "run", study, "--runs", tmp_path / "runs", *arguments)
    assert code == 2 and message in table["message"] and message in said
    assert not (tmp_path / "runs").exists() and not (tmp_path / "studies").exists()


def test_a_task_selects_runs_as_an_axis_does(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(
        STUDY.replace(
            f'blueprint = "{TINY}"', 'blueprint = "classic/cartpole_dqn"\ntasks = ["CartPole-v1", "Acrobot-v1"]'
        ).split("[axis]")[0]
    )
    study = load_study(path)
    assert [run.task for run in selected(study, [])] == ["CartPole-v1", "Acrobot-v1"]
    assert [run.task for run in selected(study, ["task=Acrobot-v1"])] == ["Acrobot-v1"]
