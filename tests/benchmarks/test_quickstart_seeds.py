"""The promise of the quickstart: seeds that were not used to choose it, and what is said where it is not kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import quickstart_seeds
from benchmarks.quickstart_seeds import SEEDS, main, verdict


def test_the_verdict_has_both_halves() -> None:
    assert verdict(dict.fromkeys(SEEDS, 800.0)) == ""
    assert verdict({1: 700.0, 2: 900.0}) == ""
    assert verdict({1: 699.0, 2: 950.0, 3: 950.0}) == "seed 1 ends at 699, below 700"
    assert verdict({1: 750.0, 2: 760.0}) == "the mean is 755, below 800"
    both = verdict({1: 674.0, 2: 858.0})
    assert both == "seed 1 ends at 674, below 700; the mean is 766, below 800"


def test_twelve_seeds_that_no_page_chose_by() -> None:
    assert len(SEEDS) == 12 and not set(SEEDS) & {*range(16)}


@pytest.mark.parametrize("low", [810.0, 690.0])
def test_the_command(low: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def train(blueprint: Any, runs: Path, quiet: bool) -> Any:
        assert tuple(blueprint.seeds) == tuple(SEEDS) and blueprint.name == "quickstart"
        returns = np.array([[850.0, 860.0]] * 11 + [[low, low]])
        return SimpleNamespace(returns=returns, table={"seconds": 600.0})

    monkeypatch.setattr(quickstart_seeds.api, "train", train)
    code = main(["--runs", str(tmp_path), "--out", str(tmp_path / "figures.json")])
    said = capsys.readouterr().out
    assert code == (low < 700)
    assert f"seed {SEEDS[-1]}  {low}" in said and "10.0 minutes for 12 seeds" in said
    assert json.loads((tmp_path / "figures.json").read_text())["returns"][str(SEEDS[0])] == 855.0
    assert ("the promise is not kept" in said) is (low < 700)
