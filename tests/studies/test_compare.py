"""``composer compare`` on small journals written for the purpose."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from comparison_runs import write_run
from typer.testing import CliRunner

from composer.cli import app
from composer.studies import Refused
from composer.studies.compare import report as compare_command
from composer.studies.compare.compare import compare
from composer.studies.compare.read_runs import fork_label

STEPS = (100, 200, 300)
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run directory whose seeds score ``values[seed]`` at ``STEPS``, finished at the last."""

    def make(
        name: str,
        values: dict[int, Sequence[float]],
        task: str = "walker-walk",
        overrides: Sequence[str] = (),
        steps: Sequence[int] = STEPS,
        folder: str | None = None,
        ended: bool = True,
    ) -> Path:
        path = tmp_path / (folder or f"{name}-{task}")
        status = "FINISHED" if ended else None
        return write_run(path, name, values, task, steps=steps, overrides=overrides, status=status)

    return make


def rising(*finals: float) -> dict[int, tuple[float, ...]]:
    return {seed: (0.0, final / 2, final) for seed, final in enumerate(finals)}


def test_scores_of_a_clear_case(make_run: MakeRun) -> None:
    good, bad = make_run("good", rising(10, 11, 12, 13)), make_run("bad", rising(1, 2, 3, 4))
    comparison = compare([good, bad], thresholds=[5.5, 12.0])
    (task,) = comparison.table["tasks"]
    assert (task["task"], task["env_step"], task["area_from"]) == ("walker-walk", 300, 100)
    first, second = task["agents"]
    assert (first["agent"], first["seeds"], first["final"]["by_seed"]) == ("good", [0, 1, 2, 3], [10, 11, 12, 13])
    assert first["final"]["mean"]["value"] == first["final"]["iqm"]["value"] == 11.5
    assert second["area"]["by_seed"] == [final / 2 for final in (1, 2, 3, 4)]
    assert [reach["reached"] for reach in first["thresholds"]] == [4, 2]
    assert [reach["median_env_step"] for reach in first["thresholds"]] == [200.0, None]
    assert first["thresholds"][0]["by_seed"] == [300, 200, 200, 200] and second["thresholds"][0]["reached"] == 0
    (pair,) = task["pairs"]
    assert pair["difference"]["value"] == 9 and pair["difference"]["low"] > 0
    assert pair["probability_of_improvement"]["value"] == 1
    assert pair["verdict"] == "good scores higher than bad"
    covered = "covers the mean 95% of the time for normal scores, and 61% where one in five fails"
    assert comparison.table["notes"] == [f"a 95% t interval over 4 seeds {covered}"]
    shown = compare_command.text(comparison.table)
    assert "good scores higher than bad; good - bad is 9.0 [" in shown and "2 of 4 seeds" in shown
    assert pair["sentence"] in shown and first["normalized"]["mean"]["value"] == 0.0115
    json.dumps(comparison.table, allow_nan=False)
    shares = compare([make_run("one", rising(0.9, 0.9, 0.9)), make_run("other", rising(0.85, 0.85, 0.85))])
    assert "one - other is 0.050 [" in compare_command.text(shares.table)


def test_three_seeds_claim_nothing(make_run: MakeRun) -> None:
    runs = [make_run("good", rising(10, 11, 12)), make_run("bad", rising(1, 2, 3))]
    (pair,) = compare(runs).table["tasks"][0]["pairs"]
    assert pair["difference"]["low"] > 0
    assert pair["verdict"].startswith("too few seeds for any claim: 3 against 3 cannot give p < 0.05")


def test_one_seed_says_so(make_run: MakeRun) -> None:
    table = compare([make_run("alone", rising(5))]).table
    assert table["tasks"][0]["agents"][0]["final"]["mean"] == {"value": 5.0, "low": None, "high": None}
    assert table["notes"] == [
        "with fewer than 3 seeds there is no interval: the values of the seeds are shown",
        "walker-walk: only one agent, no comparison",
    ]


def test_agents_meet_at_the_last_step_that_all_share(make_run: MakeRun) -> None:
    long = make_run("long", rising(30, 31))
    short = make_run("short", {0: (7.0, 9.0)}, steps=(100, 200), ended=False)
    table = compare([long, short]).table
    (task,) = table["tasks"]
    assert task["env_step"] == 200 and task["agents"][0]["final"]["by_seed"] == [15.0, 15.5]
    assert any("short-walker-walk is not finished: it is running, or was killed" in note for note in table["notes"])
    assert "walker-walk: agents reached different steps; all are compared at environment step 200" in table["notes"]
    early = compare([long, short], at=150).table
    assert early["tasks"][0]["env_step"] == 100
    assert any("not every seed has a point at environment step 150" in note for note in early["notes"])
    with pytest.raises(Refused, match=r"no environment step in common up to 50 \(long: 100 to 300; short"):
        compare([long, short], at=50)


def test_tasks_are_not_mixed_without_saying_so(make_run: MakeRun) -> None:
    runs = [
        make_run("a", rising(1, 2), "walker-walk"),
        make_run("a", rising(3, 5), "cheetah-run"),
        make_run("b", rising(0, 1), "walker-walk"),
        make_run("b", rising(1, 2), "cheetah-run"),
        make_run("c", rising(1, 2), "walker-walk"),
    ]
    table = compare(runs).table
    assert table["notes"][0].startswith("different tasks (cheetah-run, walker-walk)")
    assert [(task["task"], len(task["pairs"])) for task in table["tasks"]] == [("cheetah-run", 1), ("walker-walk", 3)]
    over = table["all_tasks"]
    assert [row["agent"] for row in over["agents"]] == ["a", "b"]
    assert "over all tasks: c did not run every task and is left out" in table["notes"]
    (pair,) = over["pairs"]
    assert pair["difference"]["value"] == pytest.approx(((4 - 1.5) + (1.5 - 0.5)) / 2 / 1000)
    assert "over all 2 tasks, with equal weights in the mean: return / 1000" in compare_command.text(table)
    raw = compare(runs, constants="none").table["all_tasks"]
    assert raw["scores"] == "raw" and raw["pairs"][0]["difference"]["value"] == ((4 - 1.5) + (1.5 - 0.5)) / 2
    assert "optimality_gap" not in raw["agents"][0], "there is no optimum of raw scores"


def test_runs_of_one_agent_are_pooled_with_care(make_run: MakeRun) -> None:
    runs = [
        make_run("a", {0: (1.0, 2.0, 3.0)}, folder="first"),
        make_run("a", {1: (2.0, 3.0, 4.0), 0: (9.0, 9.0, 9.0)}, overrides=["evaluation.episodes=3"], folder="second"),
        make_run("a", {2: (1.0, math.nan, 5.0)}, folder="third"),
    ]
    table = compare([*runs, runs[0]]).table
    assert table["tasks"][0]["agents"][0]["seeds"] == [0, 1, 2]
    assert table["tasks"][0]["agents"][0]["final"]["by_seed"] == [3.0, 4.0, 0.0]
    assert table["notes"][:3] == [
        "first and second are pooled as a, but differ in evaluation.episodes (10 and 3)",
        "seed 0 of a on walker-walk occurs twice; the one in second is left out",
        "seed 2 of a on walker-walk diverged at environment step 200 (third) and counts from there as 0, the lowest"
        " score that is possible",
    ]


def test_a_metric_that_is_not_written_yet_is_told_from_one_that_never_is(make_run: MakeRun) -> None:
    run = make_run("a", rising(1, 2, 3))
    with pytest.raises(Refused, match=r"has not written 'critic/loss' yet: .*training\.log_every.*where updates were"):
        compare([run], "critic/loss")
    with pytest.raises(Refused, match=r"has no metric 'value/loss'"):
        compare([run], "value/loss")


def test_two_experiments_under_one_name_are_not_pooled(make_run: MakeRun) -> None:
    """By an override, a file of the same name or another length of its schedules: each is an agent of its own."""
    runs = [
        make_run("a", {0: (1.0, 2.0, 3.0)}, folder="first"),
        make_run("a", {1: (2.0, 3.0, 4.0)}, overrides=["algorithm.n_step=3"], folder="second"),
        make_run("a", {2: (2.0, 3.0, 5.0)}, folder="third"),
        make_run("b", {2: (2.0, 3.0, 5.0)}, overrides=["algorithm.n_step=3"], folder="fourth"),
    ]
    table = compare(runs).table
    found = {row["agent"]: row["final"]["by_seed"] for row in table["tasks"][0]["agents"]}
    assert found == {"a (algorithm.n_step=1)": [3.0, 5.0], "a (algorithm.n_step=3)": [4.0], "b": [5.0]}
    assert table["notes"].count("runs called a differ in algorithm.n_step: they are compared as different agents") == 1
    both = ["algorithm.batch_size=64", "replay.capacity=7_000"]
    other = make_run("b", {0: (1.0, 1.0, 1.0)}, overrides=["algorithm.n_step=3", *both], folder="fifth")
    (row, _) = compare([runs[3], other]).table["tasks"][0]["agents"]
    assert row["agent"] == "b (algorithm.batch_size=256, replay.capacity=1000000)"


def test_an_agent_on_two_tasks_is_one_agent(make_run: MakeRun) -> None:
    runs = [
        make_run("a", rising(3, 4), folder="first"),
        make_run("a", rising(1, 2), "cheetah-run", folder="second"),
        make_run("a", rising(1, 2), "cheetah-run", ["algorithm.n_step=3"], folder="third"),
        make_run("a", rising(1, 2), overrides=["algorithm.n_step=3"], folder="fourth"),
    ]
    over = compare(runs).table["all_tasks"]
    assert [row["agent"] for row in over["agents"]] == ["a (algorithm.n_step=1)", "a (algorithm.n_step=3)"]


def test_unknown_metric_names_what_there_is(make_run: MakeRun) -> None:
    run = make_run("a", rising(1, 2))
    with pytest.raises(Refused, match=r"has no metric 'evaluation/retrun'; did you mean 'evaluation/return'\?"):
        compare([run], "evaluation/retrun")


def test_torn_and_damaged_journals(make_run: MakeRun) -> None:
    run = make_run("a", rising(1, 2), ended=False)
    journal = run / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'0000 {"seq"')
    assert not any("damaged" in note for note in compare([run]).table["notes"]), "a running journal may end torn"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"x" + lines[4][1:], *lines[5:]]))
    table = compare([run]).table
    assert table["tasks"][0]["env_step"] == 200
    assert any("its journal is damaged" in note for note in table["notes"])


def test_command_line(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [str(make_run("a", rising(1, 2, 3))), str(make_run("b", rising(5, 6, 7)))]

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["compare", *arguments])

    answered = call(*runs, "--json", "--threshold", "2", "--plot", str(tmp_path / "curves.svg"))
    assert answered.exit_code == 0 and json.loads(answered.stdout)["tasks"][0]["env_step"] == 300
    assert "a - b is -4.0" in answered.stderr and (tmp_path / "curves.svg").is_file()
    assert "too few seeds" in call(*runs).stdout
    assert call(*runs, "--metric", "nothing").exit_code == 2
    assert call(str(tmp_path / "missing")).exit_code == 3


def test_a_fork_without_a_key_says_so() -> None:
    label = {"from": "x", "env_step": 10, "branch": 0}
    gone = {"interventions.reset.when.every": None, "interventions.reset.where": None, "replay.capacity": None}
    assert fork_label({**label, "changes": gone}) == "fork@10(~interventions.reset, ~replay.capacity)"
    assert fork_label({**label, "changes": {"replay.capacity": 7}}) == "fork@10(replay.capacity=7)"
