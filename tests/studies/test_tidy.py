"""``compare --csv``: every number of the comparison, one a row."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from comparison_runs import write_run

from composer.studies import Refused
from composer.studies.compare import tidy
from composer.studies.compare.compare import compare


def read(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def test_every_number_is_a_row(tmp_path: Path) -> None:
    values = {seed: (0.0, 100.0 * seed, 200.0 * seed) for seed in range(4)}
    runs = [
        write_run(tmp_path / f"{name}-{task}", name, values, task)
        for name in ("a", "b")
        for task in ("walker-walk", "cheetah-run")
    ]
    comparison = compare(runs)
    tidy.write(comparison, tmp_path / "table.csv")
    rows = read(tmp_path)
    assert tuple(rows[0]) == tidy.COLUMNS and {row["metric"] for row in rows} == {"evaluation/return"}
    scores = [row for row in rows if row["statistic"] == "score"]
    assert len(scores) == 2 * 2 * 2 * 4 * 3, "raw and normalised, agents, tasks, seeds, steps"
    key = {"agent": "b", "task": "walker-walk", "seed": "3", "env_step": "300"}
    found = {row["scale"]: float(row["value"]) for row in scores if key.items() <= row.items()}
    assert found == {"raw": 600.0, "return / 1000": 0.6}
    over = {row["statistic"]: row for row in rows if not row["task"] and row["agent"] == "a" and not row["other"]}
    assert set(over) == {"mean", "iqm", "median", "optimality_gap", "area"}
    expected = comparison.table["all_tasks"]["agents"][0]["iqm"]
    assert float(over["iqm"]["value"]) == expected["value"] and float(over["iqm"]["low"]) == expected["low"]
    assert over["iqm"]["seeds"] == "8"
    pairs = [row for row in rows if row["other"]]
    assert {(row["task"], row["statistic"]) for row in pairs} == {
        (task, name)
        for task in ("", "walker-walk", "cheetah-run")
        for name in ("difference", "probability_of_improvement")
    }


def test_an_interval_that_is_not_there_is_empty(tmp_path: Path) -> None:
    comparison = compare([write_run(tmp_path / "r", "a", {0: (1.0, 2.0, 3.0)})], constants="none")
    tidy.write(comparison, tmp_path / "table.csv")
    (mean,) = (row for row in read(tmp_path) if row["statistic"] == "mean")
    assert (mean["value"], mean["low"], mean["high"], mean["scale"]) == ("3.0", "", "", "raw")
    with pytest.raises(Refused, match="no such folder"):
        tidy.write(comparison, tmp_path / "missing" / "table.csv")
