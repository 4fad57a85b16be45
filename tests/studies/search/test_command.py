"""``composer search`` from a study's file, and runs that the engine gives up by their signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from planted import TINY, Planted

from composer.blueprint import BlueprintError
from composer.studies import Refused
from composer.studies.execution.engine import train_all
from composer.studies.execution.ledger import read_account
from composer.studies.execution.local import LocalLauncher
from composer.studies.execution.outcome import Outcome
from composer.studies.search import command
from composer.studies.search.report import text
from composer.studies.study.load import load_study
from composer.studies.study.points import Point, StudyRun, study_run
from composer.tracking.records import JOURNAL
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.results import read_metrics

STUDY = """
study = 1
blueprint = "tiny.toml"
tasks = ["cartpole-swingup", "cartpole-balance"]
seeds = 2
[set]
"replay.capacity" = 128
"""
SEARCH = """
[search]
trials = 3
[search.space]
"algorithm.batch_size" = [16, 32]
"""


def study(folder: Path, text: str) -> Path:
    (folder / "tiny.toml").write_text(TINY.read_text())
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


def test_a_search_takes_the_one_point_of_a_study_on_all_of_its_tasks(tmp_path: Path) -> None:
    subject = command.subject_of(load_study(study(tmp_path, STUDY + SEARCH)))
    assert subject.seeds == (0, 1) and [run.task for run in subject.plain] == ["cartpole-swingup", "cartpole-balance"]
    assert all(run.blueprint.replay.capacity == 128 for run in subject.runs({"algorithm.batch_size": 16}))
    assert subject.present == {"algorithm.batch_size": 32}


def test_studies_that_cannot_be_searched_are_told_why(tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=r"study.toml:1:1: there is no table \[search\]"):
        command.subject_of(load_study(study(tmp_path, STUDY)))
    axes = '"algorithm.update_to_data" = "${axis.ratio}"\n[axis]\nratio = [1, 2]\n'
    with pytest.raises(BlueprintError, match=r"takes one point, but the study has 2 \(ratio vary\)"):
        command.subject_of(load_study(study(tmp_path, STUDY + axes + SEARCH)))


def test_the_answer_has_commands_that_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, planted = load_study(study(tmp_path, STUDY + SEARCH)), Planted(tmp_path / "runs")

    def train(runs: Sequence[StudyRun], *, feed: object = None, **options: object) -> list[Outcome]:
        assert options["study"] == "study" and options["folder"] == tmp_path / "studies" / "study"
        return planted(runs, feed=feed)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "train_all", train)
    arguments = (found, tmp_path / "runs", None, lambda line: None, LocalLauncher())
    with pytest.raises(Refused, match=r"no trial in .* has finished: search first"):
        command.run_search(*arguments, again=2)
    said = text(command.run_search(*arguments))
    assert "train it with fresh seeds: composer train " in said and "'seeds=[2, 3, 4, 5, 6]'" in said
    assert f"composer search {found.file} --confirm 5" in said
    table = command.run_search(*arguments, again=3, best=1)
    assert table["confirmed"]["seeds"] == [2, 3, 4] and table["failed"] == 0
    assert "on 3 fresh seeds, of each task:" in text(table)


class Impatient:
    """Gives one long run, and gives it up once it was evaluated."""

    is_strict = True

    def __init__(self, run: StudyRun) -> None:
        self.runs, self.outcomes = [run], list[Outcome]()

    def more(self) -> Sequence[StudyRun]:
        return [self.runs.pop()] if self.runs else ()

    def gives_up(self, run: StudyRun, directory: Path) -> bool:
        return "evaluation/return" in read_metrics(directory / JOURNAL, run.blueprint.seeds)

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.mark.slow
def test_a_run_that_is_given_up_saves_itself_and_is_not_continued(tmp_path: Path) -> None:
    """Alone stops a training process of a feed by its signal."""
    run = study_run(Point(str(TINY), {}, ("training.env_steps=10_000_000", "checkpoint.every=10_000_000")), (0,))
    feed = Impatient(run)
    assert train_all((), tmp_path / "study", tmp_path / "runs", lambda line: None, feed=feed) == []
    (outcome,) = feed.outcomes
    assert (outcome.status, outcome.exit_code) == ("stopped", 143)
    assert outcome.directory and Checkpoints(outcome.directory).steps()[-1] >= 600
    entry = read_account(tmp_path / "study").of(run.key)
    assert entry.starts == 1 and entry.ended and entry.ended["type"] == "interrupted"
