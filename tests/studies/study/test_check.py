"""``composer study check`` shows points and warnings for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from study_files import write
from typer.testing import CliRunner

from composer.blueprint import BlueprintError
from composer.cli import app
from composer.studies.study.load import load_study, shipped_studies

TEXT = """description = "Width, with and without resets."
seeds = 2
[axis]
width = [16, 32]
resets = [false, true]
[set]
"networks.critic.trunk.width" = "${axis.width}"
algorithm.batch_size = 8
[when.resets]
use = "full_reset"
set."interventions.full_reset.interval" = "${mul:${axis.width},35}"
"""


def test_the_table_of_points(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    done = CliRunner().invoke(app, ["study", "check", str(path)])
    assert done.exit_code == 0
    assert done.stdout.replace(f"{tmp_path}/", "") == (
        "study: 4 points on 1 task, 2 seeds each: 4 runs\n"
        "Width, with and without resets.\n"
        "width = 16, 32\n"
        "resets = false, true\n"
        "tasks: cartpole-swingup\n"
        "every point: tiny.toml algorithm.batch_size=8\n"
        "  width=16, resets=false  networks.critic.trunk.width=16\n"
        '  width=16, resets=true   interventions.full_reset={ use = "full_reset" } networks.critic.trunk.width=16'
        " interventions.full_reset.interval=560\n"
        "  width=32, resets=false  networks.critic.trunk.width=32\n"
        '  width=32, resets=true   interventions.full_reset={ use = "full_reset" } networks.critic.trunk.width=32'
        " interventions.full_reset.interval=1120\n"
    )
    table = json.loads(CliRunner().invoke(app, ["study", "check", str(path), "--json"]).stdout)
    study = load_study(path)
    assert table["axes"] == {"width": [16, 32], "resets": [False, True]} and table["problems"] == []
    assert [row["digest"] for row in table["runs"]] == [run.key for run in study.runs]
    assert [row["arguments"] for row in table["runs"]] == [list(run.arguments) for run in study.runs]


def test_problems_are_an_answer_too(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.replace("[16, 32]", "[16, 0]"))
    done = CliRunner().invoke(app, ["study", "check", str(path), "--json"])
    table = json.loads(done.stdout)
    assert done.exit_code == 2 and table["status"] == "invalid"
    assert [(row["line"], row["points"]) for row in table["problems"]] == [
        (9, ["width=0"]),
        (13, ["width=0, resets=true"]),
    ]


def test_warnings_name_their_points(tmp_path: Path) -> None:
    text = '[axis]\nevery = [600, 2_000, 3_000]\n[set]\n"evaluation.every" = "${axis.every}"\n'
    path = write(tmp_path, text)
    words = "is beyond the end of the run, 1,200 environment steps: what is due then happens once, at the end"
    assert [warning.as_warning().replace(f"{tmp_path}/", "") for warning in load_study(path).warnings] == [
        f"study.toml:6:22 (at every={every}): warning: evaluation.every: evaluation.every = {every:,} {words}"
        for every in (2_000, 3_000)
    ]
    done = CliRunner().invoke(app, ["study", "check", str(path), "--json"])
    assert [row["points"] for row in json.loads(done.stdout)["warnings"]] == [["every=2000"], ["every=3000"]]


def test_shipped_studies_are_found_by_name_and_valid() -> None:
    assert shipped_studies()
    for name, path in shipped_studies().items():
        study = load_study(name)
        assert study.file == path and study.runs and not study.warnings


def test_a_suite_that_is_trained_for_another_length_than_its_source_is_told(tmp_path: Path) -> None:
    text = 'study = 1\nblueprint = "dmc/sac_simba"\nsuite = "dmc_hard"\nseeds = 1\n'
    (tmp_path / "s.toml").write_text(text)
    (warning,) = load_study(tmp_path / "s.toml").warnings
    assert (warning.line, warning.path) == (3, "suite")
    assert "dmc_hard is reported at 1,000,000 environment steps; these runs train 500,000" in warning.as_warning()
    (tmp_path / "s.toml").write_text(text + '[set]\n"training.env_steps" = 1_000_000\n')
    assert load_study(tmp_path / "s.toml").warnings == ()


def test_the_folder_of_a_shipped_study_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``composer study run studies/NAME`` makes the folder studies/NAME, and the same command continues it."""
    monkeypatch.chdir(tmp_path)
    name = next(iter(shipped_studies()))
    Path(name).mkdir(parents=True)
    assert load_study(name).file == shipped_studies()[name]
    Path("other").mkdir()
    with pytest.raises(BlueprintError, match="is a directory"):
        load_study("other")
