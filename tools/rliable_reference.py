"""Write tests/studies/rliable.json: what rliable computes from given scores (``python tools/rliable_reference.py``).

rliable is installed apart, because its pandas is not MLflow's: ``python -m venv X; X/bin/pip install rliable==1.2.0
'pandas<3'; X/bin/python tools/rliable_reference.py``. tests/studies/test_profiles.py holds our estimates to the file.
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).resolve().parents[1] / "tests" / "studies" / "rliable.json"
CASES = {"one_task": (10, 1), "three_seeds": (3, 7), "five_seeds": (5, 4), "ties": (6, 3), "many": (10, 26)}
"""Numbers of runs and of tasks."""
THRESHOLDS = [round(0.1 * number, 1) for number in range(-5, 25)]
STEPS = 4
REPETITIONS = 20_000
"""Of the bootstrap."""
VERSIONS = ("rliable", "arch", "numpy", "scipy")


def scores(name: str, agent: int) -> NDArray[np.float64]:
    """Normalised scores ``[runs, tasks, STEPS]`` of one of two agents; rounded, so that the file has all digits."""
    runs, tasks = CASES[name]
    rng = np.random.default_rng([agent, *name.encode()])
    height = np.linspace(0.2, 1.6, tasks)[:, None] * np.linspace(0.4, 1.0, STEPS)
    drawn = height * rng.gamma(4.0, 0.25 + 0.05 * agent, (runs, tasks, STEPS)) - 0.1
    return np.asarray(drawn.round(1 if name == "ties" else 4))


def reference(name: str) -> dict[str, Any]:
    """The scores of a case and what rliable says of them."""
    library, metrics = import_module("rliable.library"), import_module("rliable.metrics")
    both = [scores(name, agent) for agent in range(2)]
    final, other = (each[:, :, -1] for each in both)
    named = {
        "mean": metrics.aggregate_mean,
        "median": metrics.aggregate_median,
        "iqm": metrics.aggregate_iqm,
        "optimality_gap": metrics.aggregate_optimality_gap,
    }
    np.random.seed(0)
    _, bounds = library.get_interval_estimates(
        {"x": final}, lambda x: np.array([compute(x) for compute in named.values()]), reps=REPETITIONS
    )
    return {
        "scores": [each.tolist() for each in both],
        "estimates": {key: float(compute(final)) for key, compute in named.items()},
        "percentile_bootstrap": {key: bounds["x"][:, number].tolist() for number, key in enumerate(named)},
        "probability_of_improvement": float(metrics.probability_of_improvement(final, other)),
        "run_score_distribution": library.score_distributions(final, THRESHOLDS).tolist(),
        "average_score_distribution": library.average_score_distributions(final, THRESHOLDS).tolist(),
        "sample_efficiency_iqm": [float(metrics.aggregate_iqm(both[0][:, :, step])) for step in range(STEPS)],
    }


def main() -> None:
    """Write the file."""
    table = {
        "versions": {name: version(name) for name in VERSIONS},
        "repetitions": REPETITIONS,
        "thresholds": THRESHOLDS,
        "cases": {name: reference(name) for name in CASES},
    }
    FILE.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
