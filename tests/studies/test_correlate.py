"""``composer correlate``: rank correlations against scipy, and what is a sample of what."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

from composer.blueprint import dump, load
from composer.blueprint.syntax.extends import shipped
from composer.cli import app
from composer.studies import Refused
from composer.studies.correlate.correlate import correlate
from composer.studies.correlate.ranks import clustered, pairwise
from composer.studies.correlate.report import picture, text, write_csv
from composer.studies.retention.retention import spearman
from composer.tracking.journal import Journal

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("differences", [False, True])
def test_every_pair_equals_scipys_at_the_points_that_both_have(differences: bool) -> None:
    values = RNG.integers(0, 6, (7, 30)).astype(float)  # With many ties.
    values[1, ::2] = values[2, ::2] = values[3, 1::3] = np.nan
    values[4] = 3.0
    values[5] = -values[0]
    values[6, 3:] = np.nan
    found, points = pairwise(values, differences)
    for i in range(7):
        for j in range(7):
            common = np.isfinite(values[i]) & np.isfinite(values[j])
            x, y = values[i, common], values[j, common]
            if differences:
                x, y = np.diff(x), np.diff(y)
            assert points[i, j] == len(x)
            if len(x) < 4 or not np.ptp(x) or not np.ptp(y):
                assert np.isnan(found[i, j]), "constant, or too few points"
            else:
                assert found[i, j] == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    assert found[0, 5] == pytest.approx(-1.0) and spearman(values[0], values[4]) == 0.0


def test_metrics_that_correlate_are_neighbours() -> None:
    base = RNG.standard_normal((2, 50))
    values = np.stack([base[0], base[1], -base[0] + 0.1 * RNG.standard_normal(50), base[1] ** 3, base[0] ** 3])
    order = clustered(pairwise(values)[0])
    assert {frozenset(order[:3]), frozenset(order[2:]), frozenset(order[3:]), frozenset(order[:2])} & {
        frozenset({0, 2, 4})
    }


def make_run(
    path: Path, name: str, metrics: Mapping[str, np.ndarray], task: str = "walker-walk", every: int = 100
) -> Path:
    """A run with ``metrics`` ``[seeds, T]``; NaN is not written."""
    path.mkdir()
    seeds = list(range(len(next(iter(metrics.values())))))
    blueprint = load(shipped()["dmc/sac_mlp"], [f"seeds={seeds}", f"environment.task={task}"]).blueprint
    (path / "blueprint.toml").write_text(dump(blueprint))
    (path / "run.json").write_text(json.dumps({"name": name, "variant": None, "task": task, "seeds": seeds}))
    with Journal(path / "journal.jsonl") as journal:
        for t in range(next(iter(metrics.values())).shape[1]):
            for seed in seeds:
                row = {key: float(value[seed, t]) for key, value in metrics.items() if not np.isnan(value[seed, t])}
                journal.append({"type": "metrics", "env_step": (t + 1) * every, "seed": seed, "metrics": row})
    return path


def test_over_time_each_seed_is_a_sample_and_trends_are_told_from_changes(tmp_path: Path) -> None:
    noise = RNG.standard_normal((2, 5, 40))
    trend = np.arange(40.0) * 3
    sparse = trend + noise[1]
    sparse[:, ::2] = np.nan
    metrics = {"a": trend + noise[0], "b": sparse, "c": np.ones((5, 40))}
    run = make_run(tmp_path / "run", "x", metrics)
    table = correlate([run, run])
    (pair,) = table["pairs"]
    assert (pair["samples"], pair["points"], table["left_out"]) == (5, [20, 20], ["c"])
    expected = [spearmanr(metrics["a"][seed, 1::2], sparse[seed, 1::2]).statistic for seed in range(5)]
    assert pair["correlation"]["value"] == pytest.approx(np.mean(expected))
    assert pair["correlation"]["low"] > 0.9, "two trends"
    assert any("--differences" in note for note in table["notes"]) and "left out (constant" in table["notes"][-1]
    (changes,) = correlate([run], differences=True)["pairs"]
    assert changes["points"] == [19, 19] and changes["correlation"]["low"] < 0.3
    diffs = [spearmanr(np.diff(metrics["a"][s, 1::2]), np.diff(sparse[s, 1::2])).statistic for s in range(5)]
    assert changes["correlation"]["value"] == pytest.approx(np.mean(diffs))


def test_over_seeds_and_over_variants_samples_are_not_pooled(tmp_path: Path) -> None:
    """Within an agent x and y rise together; between agents, and between tasks, they do the opposite."""
    runs, x = [], np.arange(5.0)[:, None]
    for task_number, task in enumerate(("walker-walk", "cheetah-run")):
        for agent in range(4):
            offset = 10.0 * agent - 100 * task_number
            last = {"x": x + offset, "y": np.exp(x / 10) - offset}
            metrics = {name: np.concatenate([RNG.random((5, 1)), value], axis=1) for name, value in last.items()}
            runs.append(make_run(tmp_path / f"{task}-{agent}", f"agent{agent}", metrics, task))
    (pair,) = correlate(runs, "seeds")["pairs"]
    assert (pair["samples"], pair["points"]) == (8, [5, 5]) and pair["correlation"]["value"] == pytest.approx(1)
    table = correlate(runs, "variants")
    (pair,) = table["pairs"]
    assert (pair["samples"], pair["points"]) == (2, [4, 4]) and pair["correlation"]["value"] == pytest.approx(-1)
    assert pair["correlation"]["low"] is None, "two tasks have no interval"
    assert "mean over 2 tasks" in text(table)


def test_the_command_writes_picture_csv_and_json(tmp_path: Path) -> None:
    metrics = {name: RNG.standard_normal((3, 12)) for name in ("critic/loss", "critic/value", "evaluation/return")}
    run = str(make_run(tmp_path / "run", "x", metrics))
    picture_path, csv_path = tmp_path / "m.png", tmp_path / "m.csv"
    options = ["--plot", str(picture_path), "--csv", str(csv_path), "--json", "--metrics", "critic/*"]
    answered = CliRunner().invoke(app, ["correlate", run, *options])
    assert answered.exit_code == 0, answered.stderr
    table = json.loads(answered.stdout)
    assert table["metrics"] == ["critic/loss", "critic/value"] and picture_path.stat().st_size > 5_000
    (row,) = csv.DictReader(csv_path.read_text().splitlines())
    assert float(row["correlation"]) == table["pairs"][0]["correlation"]["value"] and row["fewest_points"] == "12"
    whole = correlate([Path(run)])
    (axes, _) = picture(whole).figure.axes
    numbers = {each.get_text() for each in axes.texts}
    assert numbers == {f"{pair['correlation']['value']:+.2f}" for pair in whole["pairs"]}
    assert len(axes.patches) == 3, "the diagonal"
    write_csv(whole, csv_path)
    assert len(csv_path.read_text().splitlines()) == 4
    refused = CliRunner().invoke(app, ["correlate", run, "--metrics", "critc/*"])
    assert refused.exit_code == 2 and "no metric matches 'critc/*'" in refused.stderr
    assert (
        "--over is time, seeds, variants, got 'tme'"
        in CliRunner().invoke(app, ["correlate", run, "--over", "tme"]).stderr
    )
    for over, most in (("seeds", "3 seeds"), ("variants", "1 agents")):
        with pytest.raises(Refused, match=f"there are at most {most}, and it needs 4"):
            correlate([Path(run)], over)
