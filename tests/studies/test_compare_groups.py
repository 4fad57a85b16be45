"""Which runs make an agent, what seeds that diverged count as, and what the caller calls an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from comparison_runs import write_run

from composer.studies import Refused
from composer.studies.compare import report
from composer.studies.compare.compare import compare
from composer.studies.compare.read_runs import read_runs
from composer.studies.execution.ledger import holding
from composer.tracking.journal import Journal
from composer.training.divergence import Diverged, ensure_bounded_metrics

WHOLE = {0: (10.0, 20.0, 30.0), 1: (11.0, 21.0, 31.0), 2: (12.0, 22.0, 32.0)}


def reason(seed: int) -> str:
    """What the journal says of a seed that diverged."""
    with pytest.raises(Diverged) as caught:
        ensure_bounded_metrics([{"critic/loss": float("nan")}], [seed], 1e12, 250)
    return str(caught.value)


def finals(*paths: Path, **settings: Any) -> dict[str, tuple[int, list[float]]]:
    """The seeds that diverged, and the scores, by agent."""
    table = compare(paths, **settings).table
    rows = table["tasks"][0]["agents"]
    return {row["agent"]: (row["diverged"], row["final"]["by_seed"]) for row in rows}


def test_a_seed_that_diverged_counts_as_the_lowest_score(tmp_path: Path) -> None:
    """It is not dropped, and the agent is compared at the step that the other seeds reached."""
    good = write_run(tmp_path / "good", "a", WHOLE)
    bad = write_run(tmp_path / "bad", "a", {7: (12.0, 40.0)}, status="FAILED", diverged=(250, reason(7)))
    other = write_run(tmp_path / "other", "b", WHOLE)
    assert finals(good, bad, other) == {"a": ([7], [30.0, 31.0, 32.0, 0.0]), "b": ([], [30.0, 31.0, 32.0])}
    table = compare([good, bad, other]).table
    assert table["tasks"][0]["env_step"] == 300
    told = "seed 7 of a on walker-walk diverged at environment step 250 (bad) and counts from there as 0, the lowest"
    assert any(note.startswith(told) for note in table["notes"]) and told in report.text(table)
    # Before it diverged, its score is what it was.
    assert finals(good, bad, other, at=200)["a"][1] == [20.0, 21.0, 22.0, 40.0]


def test_what_ends_with_it_does_not_hide_it(tmp_path: Path) -> None:
    """Seeds of one program end together: at their last common step the seed that diverged counts as failed already."""
    run = write_run(
        tmp_path / "r", "a", {seed: row[:2] for seed, row in WHOLE.items()}, status="FAILED", diverged=(250, reason(1))
    )
    assert finals(run) == {"a": ([1], [20.0, 0.0, 22.0])}
    assert any("seeds 0, 2 of its run ended with it" in note for note in compare([run]).table["notes"])
    # Trained again by themselves, the others count whole, in whatever order the runs are given.
    again = write_run(tmp_path / "again", "a", {seed: WHOLE[seed] for seed in (0, 2)})
    for runs in ((run, again), (again, run)):
        (diverged, scores) = finals(*runs)["a"]
        assert diverged == [1] and sorted(scores) == [0.0, 30.0, 32.0]


def test_a_seed_that_diverged_before_its_first_evaluation_counts(tmp_path: Path) -> None:
    good = write_run(tmp_path / "good", "a", WHOLE)
    bad = write_run(tmp_path / "bad", "a", {7: ()}, status="FAILED", diverged=(50, reason(7)))
    assert finals(good, bad)["a"] == ([7], [30.0, 31.0, 32.0, 0.0])


def test_without_a_bound_the_lowest_score_is_a_random_agent_s_or_the_lowest_seen(tmp_path: Path) -> None:
    pong, lqr = ("pong", "atari/dqn", "environment.game"), ("lqr-lqr_2_1", "dmc/sac_mlp", "environment.task")
    gone = {"status": "FAILED", "diverged": (250, reason(7))}
    runs = [
        write_run(tmp_path / "p", "a", {0: (1.0, 2.0, 3.0)}, *pong),
        write_run(tmp_path / "q", "a", {7: (1.0, 2.0)}, *pong, **gone),
    ]
    assert finals(*runs)["a"] == ([7], [3.0, -20.7])
    assert any(
        "counts from there as -20.7, which counts as 0 in atari_human" in n for n in compare(runs).table["notes"]
    )
    runs = [
        write_run(tmp_path / "c", "a", {0: (-900.0, -500.0, -300.0)}, *lqr),
        write_run(tmp_path / "d", "a", {7: (-1200.0, -400.0)}, *lqr, **gone),
    ]
    assert finals(*runs)["a"] == ([7], [-300.0, -1200.0])


def test_a_run_that_goes_on_after_it_was_resumed_has_not_diverged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", "a", {seed: row[:2] for seed, row in WHOLE.items()}, diverged=(250, reason(1)))
    path = run / "journal.jsonl"
    with Journal(path, offset=path.stat().st_size, seq=len(path.read_bytes().splitlines())) as journal:
        for seed, row in WHOLE.items():
            journal.append({"type": "metrics", "env_step": 300, "seed": seed, "metrics": {"evaluation/return": row[2]}})
    assert finals(run) == {"a": ([], [30.0, 31.0, 32.0])}


def test_metrics_of_which_low_is_not_bad_leave_it_out(tmp_path: Path) -> None:
    """The lowest loss would flatter an agent that diverged."""
    good = write_run(tmp_path / "good", "a", WHOLE, metric="critic/loss")
    gone = write_run(tmp_path / "bad", "a", {7: (1.0, 2.0)}, metric="critic/loss", diverged=(250, reason(7)))
    table = compare([good, gone], "critic/loss").table
    assert table["tasks"][0]["agents"][0]["seeds"] == [0, 1, 2]
    assert any("seed 7 in bad diverged and is left out: the numbers flatter a" in note for note in table["notes"])


def test_labels_name_runs_by_glob(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, name, WHOLE) for name in ("sac_1", "sac_2", "td3_1")]
    assert list(finals(*runs, labels=["sac_1=SAC", "*td3*=TD3"])) == ["SAC", "sac_2", "TD3"]
    twice = compare(runs, labels=["*=one"]).table
    assert [row["agent"] for row in twice["tasks"][0]["agents"]] == ["one"]
    assert any("seed 0 of one on walker-walk occurs twice" in note for note in twice["notes"])
    with pytest.raises(Refused, match=r"no run fits the label 'ppo\*'; there are sac_1, sac_2, td3_1"):
        compare(runs, labels=["ppo*=PPO"])


def test_labels_name_agents_in_their_order(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, name, WHOLE) for name in ("x", "y")]
    assert list(finals(*runs, labels=["ours", "theirs"])) == ["ours", "theirs"]
    with pytest.raises(Refused, match="1 label, but 2 agents need one each: x, y"):
        compare(runs, labels=["ours"])
    with pytest.raises(Refused, match="2 labels, but 2 different agents need one each: x, y"):
        compare(runs, labels=["same", "same"])
    with pytest.raises(Refused, match="either all GLOB=NAME or all NAME"):
        compare(runs, labels=["ours", "y=theirs"])


def test_a_label_does_not_pool_different_settings(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "x", "x", WHOLE),
        write_run(tmp_path / "y", "y", WHOLE, overrides=["algorithm.n_step=3"]),
    ]
    assert list(finals(*runs, labels=["*=SAC"])) == ["SAC (algorithm.n_step=1)", "SAC (algorithm.n_step=3)"]


def test_points_of_a_study_name_their_agents(tmp_path: Path) -> None:
    def study(**point: int) -> dict[str, Any]:
        return {"study": {"name": "widths", "folder": "studies/widths", "point": point}}

    runs = [
        write_run(tmp_path / "x", "sac", WHOLE, **study(width=128, ratio=1)),
        write_run(tmp_path / "y", "sac", WHOLE, overrides=["algorithm.n_step=3"], **study(width=256, ratio=1)),
        write_run(tmp_path / "z", "plain", WHOLE, **study()),
    ]
    assert list(finals(*runs)) == ["sac (width=128, ratio=1)", "sac (width=256, ratio=1)", "plain"]


def test_a_study_s_ledger_names_the_points_of_runs_that_others_trained(tmp_path: Path) -> None:
    folder, runs = tmp_path / "studies" / "s", tmp_path / "runs"
    runs.mkdir()
    with holding(folder) as ledger:
        for width in (1, 2):
            path = write_run(runs / f"r{width}", "agent", {0: (1.0, 2.0, width), 1: (1.0, 2.0, width)})
            ledger.append("planned", f"k{width}", name="r", arguments=[], env_steps=300, point={"width": width})
            ledger.append("finished", f"k{width}", directory=str(path))
    readings = read_runs([folder], "evaluation/return")
    assert [reading.point for reading in readings] == [{"width": 1}, {"width": 2}]
    assert str(readings[1].agent) == "agent (width=2)"


def test_the_metric_is_by_default_that_of_the_evaluation(tmp_path: Path) -> None:
    for seed in (0, 1):
        values = {seed: (0.1, 0.2, 0.9)}
        write_run(
            tmp_path / f"r{seed}", "digits", values, "phases", "warm_start/digits", "name", metric="evaluation/accuracy"
        )
    table = compare([tmp_path / "r0", tmp_path / "r1"]).table
    assert table["metric"] == "evaluation/accuracy" and table["tasks"][0]["agents"][0]["final"]["mean"]["value"] == 0.9
