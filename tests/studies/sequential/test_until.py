"""``composer study run --until decided``: looks, what they decide, and studies that are stopped between."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from composer.blueprint import dump
from composer.cli import app
from composer.studies import Refused
from composer.studies.execution.engine import Outcome
from composer.studies.sequential import until
from composer.studies.sequential.permutation import Design
from composer.studies.sequential.until import run_until_decided, text, until_decided, with_seeds
from composer.studies.study.load import Study, load_study
from composer.studies.study.points import StudyRun
from composer.tracking.journal import Journal

PLANTED = Path(__file__).parents[3] / "benchmarks" / "ablation" / "planted.toml"
DESIGN = Design(6, 3, relabellings=800)
LEVELS = {"lr=0.1": 0.0, "lr=0.01": 0.1, "lr=0.001": 4.0}
"""How much each point scores above 300, in standard deviations of its seeds."""
STUDY = """
study = 1
blueprint = "dmc/sac_mlp"
seeds = [100]
tasks = ["walker-walk", "cheetah-run"]
[axis]
lr = [0.1, 0.01, 0.001]
[set]
"optimizers.critic.learning_rate" = "${axis.lr}"
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three points on two tasks."""
    (tmp_path / "rates.toml").write_text(STUDY)
    return load_study(tmp_path / "rates.toml")


class Trainer:
    """Writes the run directories of what it is asked to train; the point ``diverging`` diverges."""

    def __init__(self, folder: Path, diverging: str = "", failing: str = "") -> None:
        self.folder, self.diverging, self.failing = folder, diverging, failing
        self.calls: list[list[tuple[str, str, list[int]]]] = []

    def __call__(self, runs: Sequence[StudyRun]) -> list[Outcome]:
        self.calls.append([(run.point.name, run.task, [*run.blueprint.seeds]) for run in runs])
        return [self._ended(run) for run in runs]

    def _ended(self, run: StudyRun) -> Outcome:
        if run.point.name == self.failing:
            return Outcome(run, "failed", 7, None, "no disk")
        if run.point.name == self.diverging:
            return Outcome(run, "diverged", 5, None)
        path = self.folder / run.key[:16]
        path.mkdir(exist_ok=True)
        (path / "blueprint.toml").write_text(dump(run.blueprint))
        facts = {"name": "agent", "variant": None, "task": run.task, "seeds": [*run.blueprint.seeds]}
        (path / "run.json").write_text(json.dumps(facts))
        (path / "journal.jsonl").unlink(missing_ok=True)
        with Journal(path / "journal.jsonl") as journal:
            for seed in run.blueprint.seeds:
                own = np.random.default_rng([seed, *run.point.name.encode(), *run.task.encode()]).normal()
                value = 300 + 20 * (LEVELS[run.point.name] + own)
                for step, share in ((1_000, 0.1), (2_000, 1.0)):
                    row = {"type": "metrics", "env_step": step, "seed": seed}
                    journal.append({**row, "metrics": {"evaluation/return": share * float(value)}})
        return Outcome(run, "finished", 0, path)


def decided(study: Study, trainer: Trainer) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return until_decided(study.runs, DESIGN, trainer, said.append, 100)[0], said


def test_blocks_of_new_seeds_for_the_agents_that_are_not_decided(study: Study, tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    found, said = decided(study, trainer)
    assert trainer.calls[0] == [
        (name, task, [100, 101, 102]) for name in LEVELS for task in ("walker-walk", "cheetah-run")
    ]
    assert {tuple(seeds) for _, _, seeds in trainer.calls[1]} == {(103, 104, 105)}
    best = [row for row in found["pairs"] if "lr=0.001" in (row["left"], row["right"])]
    assert all(row["verdict"].startswith("lr=0.001 scores higher than") for row in best)
    (rest,) = (row for row in found["pairs"] if row not in best)
    assert rest["verdict"] == "no difference shown; more seeds were hopeless"
    assert found["status"] == "hopeless"
    assert found["seeds"]["lr=0.001"] <= found["seeds"]["lr=0.1"] < 18
    last = max(row["look"] for row in best)
    assert all("lr=0.001" not in {name for name, _, _ in call} for call in trainer.calls[last:])
    assert any("lr=0.001 scores higher than lr=0.1" in line for line in said)
    shown = text({"sequential": found})
    assert "family-wise error 5% over 3 pairs" in shown
    assert said[-1] in shown


def test_a_study_that_is_stopped_goes_on_to_the_same_end(study: Study, tmp_path: Path) -> None:
    whole, _ = decided(study, Trainer(tmp_path))

    class Killed(Trainer):
        def __call__(self, runs: Sequence[StudyRun]) -> list[Outcome]:
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return super().__call__(runs)

    with pytest.raises(KeyboardInterrupt):
        decided(study, Killed(tmp_path))
    again, _ = decided(study, Trainer(tmp_path))
    assert again == whole


def test_what_diverges_loses_and_what_fails_stops_the_look(study: Study, tmp_path: Path) -> None:
    found, _ = decided(study, Trainer(tmp_path, diverging="lr=0.001"))
    assert {row["verdict"].split(",")[0] for row in found["pairs"] if row["look"]} == {
        "lr=0.1 scores higher than lr=0.001",
        "lr=0.01 scores higher than lr=0.001",
    }
    broken, _ = decided(study, Trainer(tmp_path, failing="lr=0.01"))
    assert (broken["status"], broken["lines"]) == ("failed", [])
    assert "the same command" in text({"sequential": broken})


def test_the_design_is_fixed_before_the_first_seed(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(tmp_path)
    monkeypatch.setattr(until, "train_all", lambda runs, *rest, **more: trainer(runs))
    monkeypatch.setattr(until, "table_of", lambda study, outcomes, folder: {"runs": len(outcomes)})

    def run(**options: Any) -> dict[str, Any]:
        return run_until_decided(study, tmp_path / "runs", tmp_path / "out", [], lambda line: None, **options)

    table = run(max_seeds=12, block=3)
    assert table["sequential"]["max_seeds"] == 12
    assert run()["sequential"] == table["sequential"]
    with pytest.raises(Refused, match="begun with looks 4; looks are fixed before the first seed"):
        run(max_seeds=15)
    with pytest.raises(Refused, match="no whole number of blocks of 3 seeds"):
        run(max_seeds=13)


def test_designs_that_cannot_be(study: Study, tmp_path: Path) -> None:
    def run(**options: Any) -> dict[str, Any]:
        return run_until_decided(study, tmp_path / "runs", tmp_path / "out", ["lr=0.1"], lambda line: None, **options)

    with pytest.raises(Refused, match="one point has nothing"):
        run()
    agents = [f"lr={number}" for number in range(7)]
    with pytest.raises(Refused, match=r"7 points; at most 6 are told apart: .* --against-first"):
        until._design(tmp_path, agents, None, None, against_first=False)
    assert until._design(tmp_path, agents, None, None, against_first=True).against_first
    for given, why in ((["--max-seeds", "9"], "belong to --until decided"), (["--until", "tired"], "takes the word")):
        result = CliRunner().invoke(app, ["study", "run", str(tmp_path / "rates.toml"), "--json", *given])
        assert result.exit_code == 2
        assert why in json.loads(result.stdout)["message"]


def test_other_seeds_keep_the_point_and_its_name(study: Study) -> None:
    run = study.runs[0]
    other = with_seeds(run, range(3, 5))
    assert other.point is run.point
    assert other.blueprint.seeds == (3, 4)
    assert other.arguments == (*run.arguments[:-1], "seeds=[3, 4]")
    assert other.key != run.key


@pytest.mark.slow
def test_the_command_trains_until_decided(tmp_path: Path, digits: Callable[[Path], Path]) -> None:
    """Slow: two looks of two training processes each."""
    file = digits(tmp_path)
    given = ["study", "run", str(file), "--until", "decided", "--max-seeds", "6", "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, [*given, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["sequential"]
    assert found["status"] == "decided"
    assert found["pairs"][0]["verdict"] == "rate=0.001 scores higher than rate=1e-08, decided with 6 seeds"
    again = json.loads(CliRunner().invoke(app, [*given, "--json"]).stdout)
    assert again["sequential"] == found
    assert all(row["was_before"] for row in again["runs"])


@pytest.fixture
def digits() -> Callable[[Path], Path]:
    """Writes a study of a learning rate that learns and one that does not."""

    def write(folder: Path) -> Path:
        planted = PLANTED.read_text()
        (folder / "tiny.toml").write_text(planted[: planted.index("[interventions")])
        file = folder / "rates.toml"
        file.write_text(
            'study = 1\nblueprint = "tiny.toml"\n[axis]\nrate = [1e-3, 1e-8]\n[set]\n'
            '"optimizers.model.learning_rate" = "${axis.rate}"\n"training.env_steps" = 60\n'
            '"evaluation.every" = 60\n"checkpoint.every" = 60\n"training.log_every" = 60\n'
        )
        return file

    return write
