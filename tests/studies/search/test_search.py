"""A search on a planted objective: it finds the optimum, is continued after a kill, and gives up what is hopeless."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from planted import Planted, planted, subject

from composer.blueprint import BlueprintError
from composer.studies import Refused
from composer.studies.execution.outcome import Outcome
from composer.studies.search.confirm import confirm, fresh_seeds
from composer.studies.search.report import answer, ranked, text
from composer.studies.search.search import search
from composer.studies.search.storage import JOURNAL, trials_in
from composer.studies.search.subject import Subject
from composer.studies.study.points import StudyRun


def told(trials: list[Any]) -> list[tuple[Any, ...]]:
    """All that a search knows of its trials, without times."""
    return [(t.number, t.state.name, t.value, t.params, t.intermediate_values, t.user_attrs["how"]) for t in trials]


def found(wanted: Subject, folder: Path) -> tuple[list[Any], Planted]:
    train = Planted(folder / "runs")
    return search(wanted, folder / "study", train, lambda line: None), train


class Killed(BaseException):
    pass


def test_a_search_finds_the_planted_optimum_better_than_chance(tmp_path: Path) -> None:
    scores = {}
    for sampler in ("tpe", "random"):
        wanted = subject(f"trials = 24\nstartup = 6\nsampler = '{sampler}'")
        trials, train = found(wanted, tmp_path / sampler)
        scores[sampler] = [each.value for each in trials if each.state.name == "COMPLETE"]
        assert trials[0].params == {"rate": 1e-3, "algorithm.batch_size": 32, "algorithm.update_to_data": 1.0}
        assert len(train.trained) == len(trials) == 24
    assert max(scores["tpe"]) > max(98.0, max(scores["random"]))


def test_hopeless_trials_are_given_up_and_keep_what_they_were_worth(tmp_path: Path) -> None:
    trials, train = found(subject("trials = 12\nstartup = 4\nwarmup = 0.5"), tmp_path)
    pruned = [each for each in trials if each.state.name == "PRUNED"]
    assert pruned and all(min(each.intermediate_values) == 100 for each in trials)
    assert {max(each.intermediate_values) for each in pruned} == {600}, "half of 1,200 steps"
    assert sorted(step for _, step in train.trained) == [600] * len(pruned) + [1200] * (12 - len(pruned))
    for each in pruned:
        others = [t.intermediate_values[600] for t in trials[: each.number] if t.state.name == "COMPLETE"]
        assert each.intermediate_values[600] < sorted(others)[len(others) // 2]


def test_a_killed_search_equals_an_undisturbed_one_and_trains_nothing_twice(tmp_path: Path) -> None:
    wanted = subject("trials = 9\nstartup = 3")
    undisturbed, _ = found(wanted, tmp_path / "whole")
    for dies_at in (0, 4, 4, 7):
        train = Planted(tmp_path / "runs" / f"{dies_at}")

        def die(run: StudyRun, number: int = dies_at) -> None:
            if run.point.values["trial"] == number:
                raise Killed

        train.before = die
        with pytest.raises(Killed):
            search(wanted, tmp_path / "killed", train, lambda line: None)
        with (tmp_path / "killed" / JOURNAL).open("a") as file:
            file.write('{"op_code":4,"torn')
    train = Planted(tmp_path / "runs" / "last")
    continued = search(wanted, tmp_path / "killed", train, lambda line: None)
    assert told(continued) == told(undisturbed)
    assert [name.split(",")[0] for name, _ in train.trained] == ["trial=7", "trial=8"]
    again, train = found(wanted, tmp_path / "whole")
    assert told(again) == told(undisturbed) and train.trained == []


def test_values_to_blame_are_results_and_failures_are_tried_again(tmp_path: Path) -> None:
    wanted = subject("trials = 5\npruner = 'none'")
    codes = {1: 5, 2: 7}

    class Failing(Planted):
        def _train(self, run: StudyRun, feed: Any) -> Outcome:
            done = super()._train(run, feed)
            code = codes.get(int(run.point.values["trial"]), 0)
            return Outcome(run, "failed", code, done.directory, f"code {code}") if code else done

    lines: list[str] = []
    trials = search(wanted, tmp_path / "study", Failing(tmp_path / "runs"), lines.append)
    assert [each.state.name for each in trials] == ["COMPLETE", "PRUNED", "RUNNING", "COMPLETE", "COMPLETE"]
    assert "trial 1: diverged code 5" in lines and "trial 2: failed code 7" in lines
    table = answer(wanted, trials)
    assert table["failed"] == 1 and "the same command goes on with" in text(table)
    codes.clear()
    train = Failing(tmp_path / "again")
    assert search(wanted, tmp_path / "study", train, lines.append)[2].state.name == "COMPLETE"
    assert len(train.trained) == 1
    codes.update(dict.fromkeys(range(9), 7))
    with pytest.raises(Refused, match="3 trials in a row failed, the last one: code 7"):
        search(wanted, tmp_path / "other", Failing(tmp_path / "none"), lines.append)


def test_trials_of_equal_settings_share_their_run(tmp_path: Path) -> None:
    lines: list[str] = []
    train = Planted(tmp_path / "runs")
    wanted = subject("trials = 8\npruner = 'none'", '[search.space]\n"algorithm.batch_size" = [8, 16]')
    trials = search(wanted, tmp_path / "study", train, lines.append)
    assert len(trials) == 8 and len(train.trained) == 2 and {each.state.name for each in trials} == {"COMPLETE"}
    assert lines[0] == "the blueprint's own values are outside of the spaces: no trial has them"


def test_trials_of_another_search_are_refused_by_name(tmp_path: Path) -> None:
    found(subject("trials = 1"), tmp_path)
    assert len(found(subject("trials = 2"), tmp_path)[0]) == 2, "more trials are the same search"
    for head, name in (("seed = 3", "seed"), ("warmup = 0.5", "warmup")):
        with pytest.raises(Refused, match=rf"trials of another search, which differs in \[search\] {name}: "):
            found(subject(head), tmp_path)
    wanted = subject()
    with (
        trials_in(tmp_path / "study", wanted.table, wanted.identity),
        pytest.raises(Refused, match="another search is running in"),
    ):
        found(wanted, tmp_path)


def test_without_optuna_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Refused, match=r'a search needs Optuna: install "rl-composer\[search\]"'):
        found(subject(), tmp_path)


def test_the_best_are_confirmed_on_seeds_that_did_not_choose_them(tmp_path: Path) -> None:
    wanted = subject("trials = 10\nstartup = 4")
    trials, _ = found(wanted, tmp_path)
    table = answer(wanted, trials)
    assert table["best"]["score"] == max(row["score"] for row in table["trials"] if row["score"] is not None)
    said = text({**table, "train": ["composer train x"], "confirm": "composer search x --confirm 5"})
    assert "biased by selection: the highest score of 10 trials on the same seeds; expect less on others" in said
    assert json.loads(json.dumps(table)) == table
    train = Planted(tmp_path / "fresh")
    chosen = [*ranked(wanted, table["trials"])[:2], table["trials"][0]]
    seeds = fresh_seeds(wanted, 3)
    confirmed = confirm(wanted, chosen, seeds, train)
    assert seeds == (2, 3, 4) == tuple(confirmed["seeds"])
    best = confirmed["trials"][0]
    assert best["trial"] == chosen[0]["trial"]
    own = planted(wanted.runs(best["values"])[0])
    assert best["score"]["value"] == pytest.approx(own + 2.5), "the seeds 2, 3 and 4 add 1.5, 2.5 and 3.5"
    gain = own - planted(wanted.plain[0])
    assert confirmed["gain"]["value"] == pytest.approx(gain)
    assert f"against the blueprint's own values (trial 0): {gain:+,.4g} [" in text(table | {"confirmed": confirmed})


def test_importance_is_that_of_the_planted_keys(tmp_path: Path) -> None:
    space = '[search.space]\n"optimizers.actor.learning_rate" = { low = 1e-5, high = 1e-1, log = true }\n'
    space += '"optimizers.temperature.learning_rate" = { low = 1e-5, high = 1e-1, log = true }'
    wanted = subject("trials = 14\nsampler = 'random'\npruner = 'none'", space)
    shares = answer(wanted, found(wanted, tmp_path)[0])["importance"]
    assert next(iter(shares)) == "optimizers.actor.learning_rate" and next(iter(shares.values())) > 0.8


def test_tasks_are_trained_one_after_the_other_until_one_is_hopeless(tmp_path: Path) -> None:
    tasks = [("environment.task='cartpole-swingup'",), ("environment.task='cartpole-balance'",)]
    wanted = subject("trials = 8\nstartup = 3\nwarmup = 0.25", tasks=tasks)
    trials, train = found(wanted, tmp_path)
    pruned = [each for each in trials if each.state.name == "PRUNED"]
    assert pruned and {max(each.intermediate_values) for each in pruned} <= {600, 700, 800, 1200, 1300}
    finished = len(trials) - len(pruned)
    assert len(train.trained) == 2 * finished + sum(2 if max(t.intermediate_values) > 1200 else 1 for t in pruned)


def test_wrong_spaces_are_told_at_their_lines_before_anything_is_trained(tmp_path: Path) -> None:
    space = '[search.space]\n"algorithm.batch_size" = { low = 64, high = 128 }\n'
    space += '"optimizers.actor.kind" = ["adam", "adan"]'
    with pytest.raises(BlueprintError) as caught:
        found(subject("", space), tmp_path)
    first, second, third = str(caught.value).splitlines()
    assert first.startswith('study.toml:4:45: search.space."algorithm.batch_size": (at algorithm.batch_size=128) ')
    assert "exceeds the replay's 100 transitions" in first
    assert second.startswith("study.toml:5:28: ") and "weight_decay belongs to adamw" in second
    assert third.startswith("study.toml:5:36: ") and "no optimizer named 'adan'" in third
    with pytest.raises(BlueprintError, match=r"study.toml:2:10: search.metric: no metric 'evaluation/retrun'.*did you"):
        found(subject('metric = "evaluation/retrun"'), tmp_path)
    assert list(tmp_path.iterdir()) == []
