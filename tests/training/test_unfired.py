"""A run says at its end which interventions never fired, and why."""

from __future__ import annotations

from pathlib import Path

from tiny_runs import DRIFT, begin, finished, resumed, rows, stopped

from composer import api
from composer.blueprint import load
from composer.tracking.console import Console
from composer.training.loop import train
from composer.training.surgery.unfired import unfired

TINY = Path(__file__).parents[1] / "tiny.toml"
SHORT = (DRIFT, "seeds=[0, 5]", "training.env_steps=120", "training.log_every=30", "evaluation.every=60")
LERP = "where = ['critic.*'], do = { kind = 'lerp', toward.kind = 'fresh' }"


def crossing(name: str, metric: str, above: float) -> str:
    """An override: an intervention that waits for a metric."""
    when = f"{{ kind = 'crossing', metric = '{metric}', above = {above}, clock = 'env' }}"
    return f"interventions.{name}={{ when = {when}, {LERP} }}"


HIGH, LOW = crossing("high", "critic/loss", 1e9), crossing("low", "critic/loss", -1.0)
ABSENT = crossing("absent", "training/return", 0.0)
LONG = (
    "environment={ kind = 'dm_control', task = 'cartpole-swingup', action_repeat = 8 }", "training.env_steps=800",
    "training.log_every=200", "evaluation.every=400", "evaluation.episodes=1",
)  # fmt: skip


def events(run: Path) -> list[dict[str, object]]:
    """The rows of interventions that never fired."""
    return [row for row in rows(run) if row["type"] == "event" and row["name"] == "never_fired"]


def test_a_threshold_that_is_never_crossed(tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *SHORT, HIGH, LOW)
    (row,) = events(run)
    assert (row["intervention"], row["seeds"], row["metric"]) == ("high", [0, 5], "critic/loss")
    losses = [each["metrics"]["critic/loss"] for each in rows(run) if "critic/loss" in each.get("metrics", {})]
    assert row["readings"] == len(losses) / 2
    assert f"from {min(losses):.4g} to {max(losses):.4g}" in str(row["why"])
    assert "critic/loss is above 1e+09" in str(row["why"])


def test_a_metric_that_was_never_written(tmp_path: Path) -> None:
    run, _ = finished(tmp_path, *LONG, ABSENT)
    (row,) = events(run)
    assert row["readings"] == 0 and "training/return was never written" in str(row["why"])


def test_a_seed_that_never_crossed_is_named(tmp_path: Path) -> None:
    run, session = finished(tmp_path, *SHORT, LOW)
    assert not events(run)
    session.surgery.fired["low"][1] = 0
    assert [row["seeds"] for row in unfired(session)] == [[5]]


def test_a_resumed_run_says_the_same(tmp_path: Path) -> None:
    whole, _ = finished(tmp_path / "a", *SHORT, HIGH)
    cut = resumed(stopped(*begin(tmp_path / "b", *SHORT, HIGH), at=70))
    assert events(whole) == events(cut)
    assert (whole / "journal.jsonl").read_bytes() == (cut / "journal.jsonl").read_bytes()


def test_the_table_and_the_console_say_it(tmp_path: Path, capsys: object) -> None:
    found = api.train(load(TINY, [*SHORT, HIGH]).blueprint, tmp_path / "runs")
    assert [row["intervention"] for row in found.table["never_fired"]] == ["high"]
    lines: list[str] = []

    class Kept(Console):
        def note(self, text: str) -> None:
            lines.append(text)

    run, session = begin(tmp_path, *SHORT, HIGH)
    train(session, Kept(session.training.env_steps, enabled=False))
    session.close()
    run.close()
    assert [line for line in lines if line.startswith("interventions.high never fired: critic/loss was read 3 times")]
