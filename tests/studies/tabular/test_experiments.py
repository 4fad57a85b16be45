"""What ``composer tabular`` answers: tables, pictures and refusals; what its figures must show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from composer.cli import app
from composer.studies.tabular import (
    categorical_experiment,
    experiments,
    fixed_point_experiment,
    quantile_experiment,
    quantile_grid,
    random_cdf_experiment,
    sample_size_experiment,
)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantile_experiment, "UPDATES", 300)
    monkeypatch.setattr(quantile_experiment, "QUANTILES", 8)
    monkeypatch.setattr(categorical_experiment, "SAMPLES", (10, 300))
    monkeypatch.setattr(categorical_experiment, "ATOMS", 21)
    monkeypatch.setattr(fixed_point_experiment, "ATOMS", (5, 41))
    monkeypatch.setattr(fixed_point_experiment, "DISCOUNTS", (0.6, 0.97))
    monkeypatch.setattr(fixed_point_experiment, "FINE", 401)
    monkeypatch.setattr(random_cdf_experiment, "ATOMS", 9)
    monkeypatch.setattr(random_cdf_experiment, "TRAJECTORIES", 200)
    for name, value in {"SAMPLES": (50, 450), "ATOMS": 41, "FINE": 401, "QUANTILES": 11}.items():
        monkeypatch.setattr(sample_size_experiment, name, value)


def told(*arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """The object for programs and the words for people."""
    result = CliRunner().invoke(app, ["tabular", *arguments, "--json"])
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout), result.stderr


def test_quantile_td() -> None:
    table, text = told("quantile-td", "--seeds", "3")
    assert (table["experiment"], table["chain"], table["seeds"]) == ("quantile-td", "garnet", 3)
    assert len(table["rows"]) == 12 and len(table["curves"]) == 8
    for row in table["rows"]:
        assert row["error"]["low"] <= row["error"]["value"] <= row["error"]["high"]
    by = {(row["noise"], row["method"]): row["error"]["value"] for row in table["rows"]}
    for noise in ("none", "gaussian", "exponential", "student"):
        assert by[noise, "QTD - TD"] == pytest.approx(by[noise, "QTD"] - by[noise, "TD"])
    assert by["student", "TD"] > by["gaussian", "TD"] > by["none", "TD"]
    assert "95% t interval over seeds" in text and "exponential" in text


def test_the_grid_draws_a_chain_for_each_seed_and_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantile_experiment, "UPDATES", 150)
    monkeypatch.setattr(quantile_grid, "STATES", 4)
    rates = {method: each[1::2] for method, each in quantile_experiment.RATES.items()}
    monkeypatch.setattr(quantile_experiment, "RATES", rates)
    monkeypatch.setattr(quantile_grid, "RATES", rates)
    table, text = told("quantile-grid", "--seeds", "3", "--plot", str(tmp_path / "map.svg"))
    assert [(row["transitions"], row["noise"]) for row in table["rows"]][::4] == [
        ("cycle", "none"),
        ("few successors", "none"),
        ("many successors", "none"),
    ]
    by = {(row["transitions"], row["noise"]): row for row in table["rows"]}
    assert by["cycle", "none"]["advantage"]["value"] < -0.9, "TD is exact where nothing is random"
    for name in ("cycle", "few successors", "many successors"):
        errors = [by[name, noise]["TD"]["value"] for noise in ("none", "gaussian", "student")]
        assert errors == sorted(errors)
    np.testing.assert_allclose(quantile_grid._advantage(np.array([2, 0, 0.0]), np.array([1, 1, 0.0])), [1 / 3, -1, 0])
    chains = quantile_grid.structures(1)
    assert [(chains[name].transition > 0).sum(1).max() for name in chains] == [1, 2, 4]
    assert len({id(chain.rewards) for chain in chains.values()}) == 2 and "drawn for each seed" in text
    drawn = (tmp_path / "map.svg").read_text()
    assert "student" in drawn and "many successors" in drawn


def test_categorical_td_comes_nearer_and_its_model_is_nearer_still() -> None:
    table, _ = told("categorical-td", "--seeds", "4", "--chain", "walk")
    by = {(row["method"], row["transitions"]): row["distance"]["value"] for row in table["rows"]}
    for method in ("TD, step size 0.3", "TD, falling step size", "plug-in fixed point"):
        assert by[method, 300] < 0.5 * by[method, 10]
    assert by["plug-in fixed point", 300] < by["TD, step size 0.03", 300]


def test_fixed_points_against_the_truth() -> None:
    table, _ = told("categorical-fixed-point", "--seeds", "2")
    by = {(row["discount"], row["atoms"], row["method"]): row["distance"]["value"] for row in table["rows"]}
    for discount in (0.6, 0.97):
        assert by[discount, 41, "DCFP"] == pytest.approx(by[discount, 41, "CDP"], rel=1e-4)
        assert by[discount, 41, "DCFP"] < 0.5 * by[discount, 5, "DCFP"]
        assert by[discount, 41, "QDP"] < by[discount, 5, "QDP"]
    assert by[0.97, 41, "CDP, 100 sweeps"] > 1.3 * by[0.97, 41, "CDP"]
    assert all(row["milliseconds"] > 0 for row in table["rows"])


def test_simulated_covariances_are_the_solved_ones() -> None:
    table, text = told("random-cdf", "--seeds", "4")
    for row in table["rows"]:
        assert row["variation"] == pytest.approx(row["simulated"]["value"], rel=0.25)
        assert row["first_step"] < row["variation"] < row["bound"]
    assert table["settings"]["relative difference of covariances"] < 0.2 and "half distance of returns" in text
    assert {curve["panel"] for curve in table["curves"]} == {"state 0", "state 3", "state 6"}


def test_errors_fall_with_samples_as_predicted() -> None:
    table, _ = told("sample-size", "--seeds", "5")
    by = {(row["method"], row["transitions"]): row["distance"]["value"] for row in table["rows"]}
    slopes = {row["method"]: row["slope"]["value"] for row in table["rows"] if "slope" in row}
    assert set(slopes) == {"DCFP", "QDP", "categorical TD", "QTD", "Monte Carlo"}
    assert all(-0.8 < slopes[method] < -0.2 for method in ("DCFP", "categorical TD", "Monte Carlo"))
    for n in (50, 450):
        assert by["DCFP", n] == pytest.approx(by["DCFP, predicted", n], rel=0.6)
        assert by["DCFP", n] < by["categorical TD", n] < by["QTD", n] < by["Monte Carlo", n]
    assert by["DCFP, predicted", 50] == pytest.approx(3 * by["DCFP, predicted", 450])


def test_equal_runs_draw_equal_pictures(tmp_path: Path) -> None:
    pictures = []
    for name in ("first.svg", "second.svg"):
        told("categorical-td", "--seeds", "2", "--plot", str(tmp_path / name))
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1] and b"<svg" in pictures[0]


def test_one_seed_has_no_interval() -> None:
    table, text = told("categorical-td", "--seeds", "1", "--chain", "two-state")
    assert table["rows"][0]["distance"]["low"] is None
    assert np.isfinite(table["rows"][0]["distance"]["value"]) and "[" not in text.split("\n\n")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("quantle-td",), "no experiment named 'quantle-td'; did you mean 'quantile-td'?"),
        (("quantile-td", "--chain", "wlak"), "no chain named 'wlak'; did you mean 'walk'?"),
        (
            ("quantile-grid", "--chain", "walk"),
            "this experiment has chains of its own (drawn for each seed): leave out --chain walk",
        ),
        (("quantile-td", "--plot", "x.gif"), "x.gif: a plot is written as .png, .svg or .pdf, got '.gif'"),
    ],
)
def test_refusals(arguments: tuple[str, ...], said: str) -> None:
    table, text = told(*arguments, code=2)
    assert table["message"] == said and text.strip() == said


def test_the_help_names_what_there_is() -> None:
    text = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["tabular", "--help"]).stdout
    from composer.studies.tabular.chains import CHAINS

    for name in (*experiments.EXPERIMENTS, *CHAINS):
        assert name in text


def test_it_needs_no_torch() -> None:
    code = "import sys\nimport composer.studies.tabular.experiments\nsys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=3_600)
