"""TD's path on symmetric chains: filters against matrix functions and penalised least squares; sampled TD follows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from composer.studies.tabular import td_path_experiment as path


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "STATES", 6)


@pytest.mark.parametrize("time", [0.5, 4.0, 40.0])
def test_filters_are_the_flows_and_the_minimisers(time: float) -> None:
    """``dV/dt = r + discount P V - V`` from zero; ``V = argmin |V - V_pi|^2 + V' A V / t``."""
    chain = path.walk(3)
    goal, pull = chain.values(), np.eye(6) - chain.discount * chain.transition
    smooth = np.linalg.solve(np.eye(6) + pull / time, goal)
    own = np.linalg.solve(np.eye(6) + np.linalg.inv(pull) / time, goal)
    expected = {
        "TD": goal - expm(-time * pull) @ goal,
        "regression on returns": (1 - np.exp(-time)) * goal,
        "ridge, TD's penalty": own,
        "ridge, smooth penalty": smooth,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(path.learned(chain, name, time), values, atol=1e-10)


def test_td_is_at_most_0_2037_above_the_ridge_that_it_follows() -> None:
    """``1 - exp(-s) - s / (1 + s)`` lies between 0 and 0.2037, whatever the chain."""
    pull = np.geomspace(1e-3, 2, 200)
    gaps = [path.FILTERS["TD"](pull, t) - path.FILTERS["ridge, TD's penalty"](pull, t) for t in (0.1, 1, 10, 100)]
    assert 0 <= np.min(gaps) and 0.203 < np.max(gaps) < 0.2037


def test_td_learns_the_rough_part_first_and_sampled_td_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "TIMES", (1.0, 3.0))
    table = path.measure(30)
    left = {
        (row["method"], row["time"]): (row["smooth_left"]["value"], row["rough_left"]["value"]) for row in table["rows"]
    }
    assert left["TD", 3.0][0] > 10 * left["TD", 3.0][1]
    assert left["ridge, smooth penalty", 3.0][0] < left["ridge, smooth penalty", 3.0][1]
    assert left["TD, sampled", 1.0] == pytest.approx(left["TD", 1.0], abs=0.06)
    assert table["axes"]["scale"] == "linear" and len(table["curves"]) == 8
