"""``composer tabular categorical-fixed-point``: errors and times of model-based methods.

All are given the frequencies of the same sampled transitions. Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import categorical, quantile
from composer.studies.tabular.categorical import Atoms
from composer.studies.tabular.chains import Chain, transitions
from composer.studies.tabular.distances import Distribution, equally_likely, wasserstein

DISCOUNTS: Final = (0.8, 0.95, 0.99)
ATOMS: Final = (11, 31, 101)
SAMPLES: Final = 1_000
FINE: Final = 1_001
"""Atoms of the reference: the fixed point of the true chain on a grid ten times finer."""
SWEEPS: Final = 100
"""Sweeps of the dynamic programming that stops early: enough for a discount of 0.8, too few for 0.99."""


Method = Callable[[Chain, Atoms], Distribution]


def _direct(chain: Chain, atoms: Atoms) -> Distribution:
    return atoms.distribution(categorical.fixed_point(chain, atoms))


def _iterated(limit: float) -> Method:
    return lambda chain, atoms: atoms.distribution(categorical.dynamic_programming(chain, atoms, 1e-8, limit)[0])


METHODS: Final[dict[str, Method]] = {
    "DCFP": _direct,
    "CDP": _iterated(math.inf),
    f"CDP, {SWEEPS} sweeps": _iterated(SWEEPS),
    "QDP": lambda chain, atoms: equally_likely(quantile.fixed_point(chain, atoms.count, 1e-4)[0]),
}


def measure(chain: Chain, seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    rows, curves = [], []
    for discount in DISCOUNTS:
        true = replace(chain, discount=discount)
        aim = _direct(true, Atoms.covering(true, FINE))
        plugged = [true.plug_in(transitions(true, [seed], SAMPLES).successors[:, 0]) for seed in range(seeds)]
        for name, method in METHODS.items():
            points = []
            for count in ATOMS:
                atoms = Atoms.covering(true, count)
                distances, seconds = zip(*(_timed(method, each, atoms, aim) for each in plugged), strict=True)
                points.append(Scores.of(distances, bounds=DISTANCE).summary())
                row = {"discount": discount, "atoms": count, "method": name, "distance": points[-1]}
                rows.append(row | {"milliseconds": 1e3 * float(np.median(seconds))})
            curves.append({"panel": f"discount {discount}", "line": name, "x": list(ATOMS), "y": points})
    return {
        "measured": "W1 to the true distribution, mean over states, of methods given frequencies of transitions",
        "settings": {"transitions of each state": SAMPLES, "atoms of the truth": FINE},
        "rows": rows,
        "axes": {"x": "atoms or quantiles", "y": "W1 to the true distribution"},
        "curves": curves,
    }


def _timed(method: Method, chain: Chain, atoms: Atoms, aim: Distribution) -> tuple[float, float]:
    began = time.perf_counter()
    found = method(chain, atoms)
    took = time.perf_counter() - began
    return float(wasserstein(found, aim).mean()), took
