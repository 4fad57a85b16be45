"""``composer retention``: what was kept of plasticity, with intervals, and which proxies went with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from tiny_runs import begin, go_on

from composer.studies import Refused
from composer.studies.retention.report import draw, page, text
from composer.studies.retention.retention import (
    TaskRun,
    _agent,
    _proxies,
    compare,
    read_run,
    spearman,
)


def made(name: str, first: float, last: float, seeds: int = 5, noise: float = 0.01) -> TaskRun:
    """A run whose accuracy goes in a line from first to last, and one proxy with it, one against it."""
    rng = np.random.default_rng(len(name))
    line = np.linspace(first, last, 20) + noise * rng.standard_normal((seeds, 20))
    return TaskRun(name, tuple(range(seeds)), line, {"with": 2 * line, "against": -line, "flat": np.ones((seeds, 20))})


def test_verdicts_and_gains() -> None:
    plain, kept, worse = made("plain", 0.9, 0.2), made("kept", 0.9, 0.88), made("worse", 0.9, 0.5)
    rows = [_agent(each, plain) for each in (plain, kept, worse)]
    assert [row["verdict"] for row in rows] == ["lost", "kept", "lost"]
    assert rows[0]["gain_over_plain"] is None and rows[0]["p_value"] < 1e-6
    assert rows[1]["gain_over_plain"]["low"] > 0.5
    first, last = worse.ends()
    assert rows[2]["change"]["value"] == pytest.approx((last - first).mean())
    assert _agent(made("barely", 0.3, 0.3), plain)["verdict"] == "never learned"
    one = made("one", 0.9, 0.6, seeds=1)
    assert _agent(one, one)["verdict"] == "unclear", "one seed tells no spread"


def test_proxies_are_ranked_by_their_correlation() -> None:
    rows = _proxies([made("a", 0.9, 0.2), made("bb", 0.9, 0.5), made("ccc", 0.9, 0.8)], made("a", 0.9, 0.2))
    assert {row["proxy"] for row in rows[:2]} == {"with", "against"} and rows[2]["proxy"] == "flat"
    within = {row["proxy"]: row["within"]["value"] for row in rows}
    assert within["with"] == pytest.approx(1) and within["against"] == pytest.approx(-1) and within["flat"] == 0
    assert next(row for row in rows if row["proxy"] == "with")["across"] == pytest.approx(1)


def test_spearman_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 30).astype(float), rng.standard_normal(30)
    assert spearman(x, y) == pytest.approx(float(spearmanr(x, y).statistic))


def test_a_real_run_is_read_drawn_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_runs

    from composer.blueprint import load

    shuffled = Path(__file__).parents[2] / "blueprints" / "plasticity" / "shuffled_labels.toml"
    monkeypatch.setattr(tiny_runs, "tiny", lambda *overrides: load(shuffled, overrides).blueprint)
    small = (
        "seeds=[0, 1]",
        "environment.data.samples=20",
        "environment.task_updates=4",
        "algorithm.batch_size=10",
        "training.env_steps=48",
        "evaluation.every=4",
        "diagnostics={ every = 4, batch = 20, measures = [{ kind = 'parameter_norm' }] }",
        "networks.model.trunk={ use = 'mlp', width = 8, depth = 1 }",
        "tracking.kind='none'",
    )
    run, parts = begin(tmp_path, *small)
    go_on(parts)
    run.close()
    found = read_run(run.path)
    assert found.scores.shape == (2, 12) and found.seeds == (0, 1)
    assert list(found.proxies) == ["model/parameter_norm.v1"]
    table, runs = compare([run.path, run.path])
    json.dumps(table)
    assert "model/parameter_norm.v1" in text(table) and "| base | 2 |" in page(table, ["a.png"])
    draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    run, parts = begin(tmp_path, *small, "training.env_steps=16")
    go_on(parts)
    run.close()
    with pytest.raises(Refused, match="at the end of each of at least 10 tasks"):
        read_run(run.path)


def test_panels_are_sorted_and_every_column_has_tick_labels(tmp_path: Path) -> None:
    names = ("plain", "low", "high", "middle", "second", "third")
    ends = (0.2, 0.3, 0.9, 0.5, 0.8, 0.7)
    draw([made(name, 0.9, end) for name, end in zip(names, ends, strict=True)], tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    titles = [line.strip(" <>!-") for line in drawn.splitlines() if line.strip(" <>!-") in names]
    assert titles == ["plain", "high", "second", "third", "middle", "low", "plain"], "last, in the legend"
    assert "<!-- as titled -->" in drawn
    assert drawn.count("<!-- 20 -->") == 4, "the last task, below each of the four columns"


def test_returns_over_the_cycles_of_a_simulator_are_read(tmp_path: Path) -> None:
    """One cycle at either end; returns below 0 are counted from the least possible one."""
    phases = "[{ env_steps = 8 }, { env_steps = 12, task = { kind = 'test/drift', limit = 5 } }]"
    kind = f"kind = 'simulator_phases', task = {{ kind = 'test/drift' }}, phases = {phases}, cycles = 2"
    small = (f"environment={{ {kind} }}", "training={ env_steps = 40, log_every = 20 }", "algorithm.update_to_data=0.1")
    run, parts = begin(tmp_path, *small, "evaluation.every=4", "seeds=[0, 1]", "algorithm.warmup_interactions=4")
    go_on(parts)
    run.close()
    found = read_run(run.path)
    assert (found.metric, found.edge, found.scores.shape) == ("evaluation/return", 2, (2, 4))
    assert (found.scores[:, 1::2] <= 5).all(), "evaluations at the end of a phase play its own task"
    table, runs = compare([run.path])
    assert table["metric"] == "evaluation/return" and "first 2 tasks" in text(table)
    below = np.repeat([[-100.0, -180.0]], 5, 0) + np.arange(5)[:, None]
    lost = TaskRun("lost", (0, 1, 2, 3, 4), below, {}, "evaluation/return", (-200.0, 0.0), 1)
    assert _agent(lost, lost)["verdict"] == "lost"
    draw([*runs, lost][:1], tmp_path / "a.png")
