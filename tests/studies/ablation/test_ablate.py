"""``composer ablate``: the table from the journals of trained arms, and the command from end to end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from composer.blueprint import dump
from composer.blueprint.syntax.notation import experiment
from composer.cli import app
from composer.studies import Refused
from composer.studies.ablation.ablate import ALL_TASKS, answer
from composer.studies.ablation.arms import BARE, FULL, Arms, arms
from composer.studies.ablation.report import figures, text
from composer.studies.execution.engine import Outcome
from composer.studies.study.points import StudyRun
from composer.tracking.journal import Journal

PLANTED = Path(__file__).parents[3] / "benchmarks" / "ablation" / "planted.toml"
SEEDS = range(8)
NOISE = np.random.default_rng(0).normal(0, 30, len(SEEDS))
RESET, NORM = "interventions.reset", "normalization.observation"
AGENT = experiment("dmc/sac_simba", ['interventions.reset={ use = "full_reset", interval = 100_000 }'])


def chosen(add: bool = False, tasks: Sequence[str] = ()) -> Arms:
    return arms(AGENT, SEEDS, tasks, only=[RESET, NORM, "optimizers.actor"], add=add)


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Writes run directories in which an arm scores its ``level`` plus what its seed adds; -1 stands for divergence."""

    def train(found: Arms, levels: Mapping[str, float], firings: int = 2) -> list[Outcome]:
        return [
            written(tmp_path, run, levels.get(arm, 500.0), firings) for arm, runs in found.runs.items() for run in runs
        ]

    return train


def written(folder: Path, run: StudyRun, level: float, firings: int) -> Outcome:
    if level < 0:
        return Outcome(run, "diverged", 5, None, "a loss is not finite")
    path = folder / run.key[:12]
    path.mkdir()
    (path / "blueprint.toml").write_text(dump(run.blueprint))
    facts = {"name": "agent", "variant": None, "task": run.task, "seeds": [*run.blueprint.seeds]}
    (path / "run.json").write_text(json.dumps(facts))
    own = np.random.default_rng(len(run.arguments[1])).normal(0, 2, len(NOISE))
    with Journal(path / "journal.jsonl") as journal:
        for share, step in ((0.5, 10_000), (1.0, 20_000)):
            for seed, value in enumerate(level + NOISE + own):
                row = {"type": "metrics", "env_step": step, "seed": seed}
                journal.append({**row, "metrics": {"evaluation/return": share * float(value)}})
        for name in run.blueprint.interventions if firings else ():
            journal.append({"type": "event", "env_step": 9, "seed": 0, "name": name, "firings": firings})
    return Outcome(run, "finished", 0, path)


def verdicts(table: Mapping[str, Any]) -> dict[str, str]:
    return {row["component"]: row["verdict"] for row in table["components"]}


def test_paired_seeds_decide_what_seeds_apart_would_not(trained: Callable[..., list[Outcome]]) -> None:
    found = chosen(add=True)
    levels = {f"without {NORM}": 400.0, f"without {RESET}": 565.0, f"only {NORM}": 500.0, BARE: 500.0}
    table = answer(found, trained(found, levels), margin=10.0)
    assert verdicts(table) == {RESET: "harmful", NORM: "useful", "optimizers.actor.weight_decay": "no effect"}
    norm = next(row for row in table["components"] if row["component"] == NORM)
    cell = norm["leave_one_out"]["walker-walk"]
    assert cell["final"]["value"] == pytest.approx(100, abs=3)
    assert cell["area"]["value"] == pytest.approx(75, abs=3)
    # The spread of seeds, 30, is in both arms and cancels.
    assert cell["final"]["high"] - cell["final"]["low"] < 10
    assert norm["add_one_in"]["walker-walk"]["final"]["verdict"] == "no effect"
    assert "useful: normalization.observation; harmful: interventions.reset" in table["sentence"]


def test_the_margin_is_a_share_of_the_range_of_scores(trained: Callable[..., list[Outcome]]) -> None:
    found = chosen()
    assert answer(found, trained(found, {}), None)["margins"] == {"walker-walk": 0.05 * 1000}


def test_over_tasks_effects_are_shares_of_the_scale_of_each(trained: Callable[..., list[Outcome]]) -> None:
    found = chosen(tasks=["cheetah-run", "dog-run"])
    table = answer(found, trained(found, {f"without {NORM}": 400.0}), None)
    rows = {row["component"]: row["leave_one_out"] for row in table["components"]}
    assert set(rows[NORM]) == {"cheetah-run", "dog-run", ALL_TASKS}
    assert rows[NORM][ALL_TASKS]["final"]["value"] == pytest.approx(0.1, abs=0.005)
    assert rows[NORM][ALL_TASKS]["final"]["margin"] == pytest.approx(0.05)
    assert verdicts(table)[NORM] == "useful"


def test_what_diverges_counts_as_the_lowest_score_and_what_never_fired_is_said(
    trained: Callable[..., list[Outcome]],
) -> None:
    found = chosen()
    table = answer(found, trained(found, {f"without {NORM}": -1}, firings=0), None)
    rows = {row["component"]: row for row in table["components"]}
    assert rows[NORM]["diverged_without"] == ["walker-walk"]
    assert rows[NORM]["leave_one_out"]["walker-walk"]["final"]["value"] == pytest.approx(500, abs=20)
    assert (rows[NORM]["verdict"], rows[RESET]["verdict"], rows[RESET]["fired"]) == ("useful", "never fired", 0)
    assert any("diverged: each of its seeds counts as the lowest score" in note for note in table["notes"])
    assert "useful (diverged without it)" in text(table)
    assert "never fired" in text(table)


def test_an_arm_that_fails_is_left_out_and_an_agent_that_fails_is_refused(
    trained: Callable[..., list[Outcome]],
) -> None:
    found = chosen()
    ends = trained(found, {})
    for arm, why in ((f"without {NORM}", None), (FULL, "the agent itself did not finish on walker-walk: no disk")):
        (run,) = found.runs[arm]
        broken = [Outcome(run, "failed", 7, None, "no disk") if end.run is run else end for end in ends]
        if why:
            with pytest.raises(Refused, match=why):
                answer(found, broken, None)
            continue
        table = answer(found, broken, None)
        assert verdicts(table)[NORM] == "failed"
        assert any("without normalization.observation on walker-walk failed" in note for note in table["notes"])
        assert "not measured" in text(table)


def test_files(trained: Callable[..., list[Outcome]], tmp_path: Path) -> None:
    found = chosen(add=True)
    table = answer(found, trained(found, {f"without {NORM}": 400.0}), None)
    figures(table, tmp_path)
    assert json.loads((tmp_path / "ablation.json").read_text()) == table
    with (tmp_path / "ablation.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 3 * 2 * 2
    assert {row["verdict"] for row in rows} == {"useful", "no effect"}
    assert (tmp_path / "ablation.png").stat().st_size > 10_000


def test_a_plan_shows_commands_that_train_each_arm_by_hand(tmp_path: Path) -> None:
    given = ["ablate", str(PLANTED), "--plan", "--json", "--runs", str(tmp_path / "runs"), "--only", RESET[:13]]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0
    table = json.loads(result.stdout)
    assert [run["arm"] for run in table["runs"]] == [FULL, "without interventions.late_reset"]
    assert "'~interventions.late_reset'" in table["runs"][1]["command"]
    assert not (tmp_path / "runs").exists()
    wrong = CliRunner().invoke(app, [*given, "--only", "nothing"])
    assert wrong.exit_code == 2
    assert 'no component is named "nothing"' in json.loads(wrong.stdout)["message"]


@pytest.mark.slow
def test_the_harm_of_a_late_reset_is_found(tmp_path: Path) -> None:
    """Slow: two training processes."""
    runs = tmp_path / "runs"
    given = ["ablate", str(PLANTED), "--only", "interventions", "--seeds", "3", "--runs", str(runs), "--json"]
    table = json.loads(CliRunner().invoke(app, given).stdout)
    assert verdicts(table) == {"interventions.late_reset": "harmful"}
    assert table["components"][0]["fired"] == 3
    folder = tmp_path / "studies" / "ablate-planted"
    assert table["folder"] == str(folder)
    assert (folder / "ablation.png").exists()
