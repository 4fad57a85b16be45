"""``composer tabular sample-size``: error of return distributions against the number of sampled transitions.

Model-based methods solve with the frequencies of transitions, online ones see each transition once, and Monte Carlo
spends as many on whole returns. Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import categorical, quantile, random_cdf
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.categorical_experiment import online
from composer.studies.tabular.chains import Chain, Transitions, transitions
from composer.studies.tabular.distances import Distribution, equally_likely, wasserstein
from composer.studies.tabular.noises import Floats
from composer.studies.tabular.quantile import StepSize

SAMPLES: Final = (50, 150, 500, 1_500, 5_000)
ATOMS: Final = 201
QUANTILES: Final = 51
FINE: Final = 2_001
"""Atoms of the reference: the fixed point of the true chain on a grid ten times finer."""
CUT: Final = 0.01
"""Monte Carlo ends a return where rewards weigh less than this."""
FALLING: Final = StepSize(1.0, 0.7, 10.0)
"""Of both online methods, as in ``categorical_experiment``; QTD's has the unit of returns."""


def measure(chain: Chain, seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    atoms, fine = Atoms.covering(chain, ATOMS), Atoms.covering(chain, FINE)
    truth = fine.distribution(categorical.fixed_point(chain, fine))
    steps = chain.horizon(CUT)
    rows, curves = [], []
    for method, (floor, found) in _methods(chain, atoms, seeds, steps).items():
        errors = np.stack([wasserstein(each, truth).mean(-1) for each in found.values()])
        counts, points = list(found), [Scores.of(each, bounds=DISTANCE).summary() for each in errors]
        slopes = np.polyfit(np.log(counts), np.log(errors), 1)[0] if len(counts) > 1 else None
        for count, point in zip(counts, points, strict=True):
            rows.append({"method": method, "transitions": count, "distance": point})
        rows[-1] |= {"slope": Scores.of(slopes).summary()} if slopes is not None else {}
        rows[-1] |= {"limit": float(wasserstein(floor, truth).mean())} if floor is not None else {}
        curves.append({"panel": f"discount {chain.discount}", "line": method, "x": counts, "y": points})
    expected = [float(random_cdf.expected_distance(chain, atoms, count).mean()) for count in SAMPLES]
    known = [{"value": each, "low": None, "high": None} for each in expected]
    rows += [
        {"method": "DCFP, predicted", "transitions": count, "distance": point}
        for count, point in zip(SAMPLES, known, strict=True)
    ]
    curves.append({"panel": f"discount {chain.discount}", "line": "DCFP, predicted", "x": list(SAMPLES), "y": known})
    return {
        "measured": "W1 to the true distribution, mean over states; slope of its logarithm over that of transitions",
        "settings": {"atoms": ATOMS, "quantiles": QUANTILES, "discount": chain.discount, "steps of a return": steps},
        "rows": rows,
        "axes": {"x": "transitions of each state", "y": "W1 to the true distribution"},
        "curves": curves,
    }


Found = dict[str, tuple[Distribution | None, dict[int, Distribution]]]


def _methods(chain: Chain, atoms: Atoms, seeds: int, steps: int) -> Found:
    """By method: what it finds without sampling errors, where that is computed, and ``[S, n, .]`` by sample size."""
    seen = transitions(chain, range(seeds), max(SAMPLES))
    plugged = {n: [chain.plug_in(seen.successors[:n, seed]) for seed in range(seeds)] for n in SAMPLES}
    learned = dict(zip(SAMPLES, online(chain, atoms, seen, FALLING, SAMPLES), strict=True))
    limit = atoms.distribution(categorical.fixed_point(chain, atoms))
    of_quantiles = equally_likely(quantile.fixed_point(chain, QUANTILES, 1e-4)[0])
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    return {
        "DCFP": (
            limit,
            {
                n: atoms.distribution(np.stack([categorical.fixed_point(each, atoms) for each in chains]))
                for n, chains in plugged.items()
            },
        ),
        "QDP": (
            of_quantiles,
            {
                n: equally_likely(np.stack([quantile.fixed_point(each, QUANTILES, 1e-4)[0] for each in chains]))
                for n, chains in plugged.items()
            },
        ),
        "categorical TD": (limit, {n: atoms.distribution(each) for n, each in learned.items()}),
        "QTD": (of_quantiles, {n: equally_likely(each) for n, each in _quantile_td(chain, seen).items()}),
        "Monte Carlo": (
            None,
            {
                n: equally_likely(np.stack([chain.returns(rng, n // steps, steps) for rng in rngs]))
                for n in SAMPLES
                if n >= steps
            },
        ),
    }


def _quantile_td(chain: Chain, seen: Transitions) -> dict[int, Floats]:
    """Quantiles ``[S, n, m]`` by number of samples, from zero."""
    quantiles = np.zeros((*seen.rewards.shape[1:], QUANTILES))
    kept = {}
    for step, (rewards, successors) in enumerate(zip(*seen, strict=True)):
        quantiles = quantile.update(quantiles, rewards, successors, chain.discount, FALLING(step))
        if step + 1 in SAMPLES:
            kept[step + 1] = quantiles
    return kept
