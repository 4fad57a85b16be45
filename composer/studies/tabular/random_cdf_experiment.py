"""``composer tabular random-cdf``: mean and covariance of random distribution functions, solved and simulated.

Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import random_cdf
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.chains import Chain
from composer.studies.tabular.noises import Floats

ATOMS: Final = 41
TRAJECTORIES: Final = 1_000
"""From each state, in each run."""
PANELS: Final = 3
"""States that are drawn, spread over those whose distribution function is random at all."""


def measure(chain: Chain, seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    atoms = Atoms.covering(chain, ATOMS)
    solved = random_cdf.moments(chain, atoms)
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    drawn = [random_cdf.simulate(chain, atoms, rng, TRAJECTORIES) for rng in rngs]
    returns = [chain.returns(rng, TRAJECTORIES, chain.horizon(1e-6)) for rng in rngs]
    variations = random_cdf.variation(solved.covariance, atoms)
    local = random_cdf.variation(solved.local, atoms)
    bounds = random_cdf.bound(chain, local)
    simulated = np.stack([atoms.spacing * np.square(each - solved.mean[:, None]).sum(-1).mean(1) for each in drawn])
    spread = np.stack([np.abs(each[:, ::2] - each[:, 1::2]).mean(1) / 2 for each in returns])
    rows = []
    for x in range(chain.states):
        row: dict[str, Any] = {"state": x, "variation": float(variations[x])}
        for name, found in (("simulated", simulated), ("half_distance_of_returns", spread)):
            row[name] = Scores.of(found[:, x], bounds=DISTANCE).summary()
        rows.append(row | {"first_step": float(local[x]), "bound": float(bounds[x])})
    return {
        "measured": "mean squared Cramér distance of the random distribution function from its mean, of each state",
        "settings": {"atoms": ATOMS, "discount": chain.discount, "trajectories per run and state": TRAJECTORIES}
        | _differences(drawn, solved),
        "rows": rows,
        "axes": {"x": "return", "y": "standard deviation", "scale": "linear"},
        "curves": _curves(atoms, solved, drawn, returns),
    }


def _differences(drawn: list[Floats], solved: random_cdf.Moments) -> dict[str, float]:
    """How far simulated moments, all runs together, are from the solved ones."""
    pooled = np.concatenate(drawn, axis=1)
    away = pooled - solved.mean[:, None]
    covariance = np.einsum("xsi,xsj->xij", away, away) / pooled.shape[1]
    apart = np.linalg.norm(covariance - solved.covariance) / np.linalg.norm(solved.covariance)
    mean = np.abs(pooled.mean(1) - solved.mean).max()
    return {"largest difference of means": float(mean), "relative difference of covariances": float(apart)}


def _curves(
    atoms: Atoms, solved: random_cdf.Moments, drawn: list[Floats], returns: list[Floats]
) -> list[dict[str, Any]]:
    z = atoms.points[:-1]
    deviations = np.sqrt(np.diagonal(solved.covariance, axis1=1, axis2=2).clip(0))
    (random,) = np.nonzero(deviations.max(1) > 1e-9)
    if not len(random):
        random = np.arange(len(deviations))
    curves = []
    for x in dict.fromkeys(random[np.linspace(0, len(random) - 1, PANELS).astype(int)].tolist()):
        below = np.stack([(each[x][:, None] <= z).mean(0) for each in returns])
        lines = {
            "solved": deviations[x][None],
            "simulated": np.stack([each[x].std(0) for each in drawn]),
            "returns, not projected": np.sqrt(below * (1 - below)),
        }
        for line, found in lines.items():
            points = [Scores.of(each, bounds=DISTANCE).summary() for each in found.T]
            curves.append({"panel": f"state {x}", "line": line, "x": z.tolist(), "y": points})
    return curves
