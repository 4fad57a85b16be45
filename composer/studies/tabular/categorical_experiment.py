"""``composer tabular categorical-td``: how close online categorical TD comes to its fixed point, and how fast.

It is compared with a model of the same transitions: the fixed point of their frequencies.
Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import categorical
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.chains import Chain, Transitions, transitions
from composer.studies.tabular.distances import wasserstein
from composer.studies.tabular.noises import Floats
from composer.studies.tabular.quantile import StepSize

ATOMS: Final = 51
SAMPLES: Final = (10, 30, 100, 300, 1_000, 3_000)
STEP_SIZES: Final = {
    "TD, step size 0.3": StepSize(0.3),
    "TD, step size 0.03": StepSize(0.03),
    "TD, falling step size": StepSize(1.0, 0.7, 10.0),
}
"""This project's choice: two constants, and one whose sum diverges and whose sum of squares converges."""


def measure(chain: Chain, seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    atoms = Atoms.covering(chain, ATOMS)
    seen = transitions(chain, range(seeds), max(SAMPLES))
    learned = {name: online(chain, atoms, seen, size, SAMPLES) for name, size in STEP_SIZES.items()}
    learned["plug-in fixed point"] = [
        np.stack([categorical.fixed_point(chain.plug_in(seen.successors[:n, seed]), atoms) for seed in range(seeds)])
        for n in SAMPLES
    ]
    aim = atoms.distribution(categorical.fixed_point(chain, atoms))
    rows, curves = [], []
    for method, probabilities in learned.items():
        found = [wasserstein(atoms.distribution(each), aim).mean(-1) for each in probabilities]
        points = [Scores.of(each, bounds=DISTANCE).summary() for each in found]
        means = [np.abs(each @ atoms.points - chain.values()).mean(-1) for each in probabilities]
        for n, point, mean in zip(SAMPLES, points, means, strict=True):
            value = Scores.of(mean, bounds=DISTANCE).summary()
            rows.append({"method": method, "transitions": n, "distance": point, "error_of_mean": value})
        curves.append({"panel": f"{ATOMS} atoms", "line": method, "x": list(SAMPLES), "y": points})
    return {
        "measured": "W1 to the categorical fixed point of the true chain, mean over states; transitions of each state",
        "settings": {"atoms": ATOMS, "low": atoms.low, "high": atoms.high, "discount": chain.discount},
        "rows": rows,
        "axes": {"x": "transitions of each state", "y": "W1 to the fixed point"},
        "curves": curves,
    }


def online(chain: Chain, atoms: Atoms, seen: Transitions, size: StepSize, samples: Sequence[int]) -> list[Floats]:
    """Probabilities ``[S, n, m]`` after each number of samples, beginning with uniform ones."""
    steps, seeds, n = seen.rewards.shape
    cdf = np.broadcast_to(np.arange(1, atoms.count + 1) / atoms.count, (seeds, n, atoms.count))
    kept = []
    for step in range(steps):
        cdf = categorical.update(cdf, seen.rewards[step], seen.successors[step], chain.discount, atoms, size(step))
        if step + 1 in samples:
            kept.append(np.diff(cdf, prepend=0.0))
    return kept
