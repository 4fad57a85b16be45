"""``composer tabular quantile-td``: the mean learned by QTD and by TD under reward noise with light and heavy tails.

Both learn from the same transitions, one from every state per update. Step sizes are chosen on seeds other than those
reported. Tests: tests/studies/tabular/test_experiments.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import quantile, td
from composer.studies.tabular.chains import Chain, transitions
from composer.studies.tabular.noises import EXPONENTIAL, GAUSSIAN, NONE, STUDENT, Floats

NOISES: Final = (NONE, GAUSSIAN, EXPONENTIAL, STUDENT)
UPDATES: Final = 1_000
QUANTILES: Final = 32
RATES: Final = {"TD": np.geomspace(0.005, 0.64, 8), "QTD": np.geomspace(0.02, 2.56, 8)}
"""This project's choice, wide enough to include the best; QTD's have the unit of returns."""


def measure(chain: Chain, seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    rows, curves = [], []
    for noise in NOISES:
        noisy = replace(chain, noise=noise)
        errors = learn(noisy, range(seeds))
        tuning = learn(noisy, range(seeds, 2 * seeds))
        best = {method: int(found.mean(1).argmin()) for method, found in tuning.items()}
        for method, found in errors.items():
            row = {"noise": noise.name, "method": method, "step_size": float(RATES[method][best[method]])}
            rows.append(row | {"error": Scores.of(found[best[method]], bounds=DISTANCE).summary(), "fixed_point": 0.0})
            points = [Scores.of(each, bounds=DISTANCE).summary() for each in found]
            curve = {"panel": f"reward noise: {noise.name}", "line": method}
            curves.append(curve | {"x": RATES[method].tolist(), "y": points})
        fixed, _ = quantile.fixed_point(noisy, QUANTILES, 1e-6)
        rows[-1]["fixed_point"] = float(_error(fixed.mean(1), noisy))
        apart = errors["QTD"][best["QTD"]] - errors["TD"][best["TD"]]
        rows.append({"noise": noise.name, "method": "QTD - TD", "error": Scores.of(apart).summary()})
    return {
        "measured": "root mean square over states of the value's error, after the updates, at the best step size",
        "settings": {"updates": UPDATES, "quantiles": QUANTILES, "discount": chain.discount},
        "rows": rows,
        "axes": {"x": "step size", "y": "error of the value"},
        "curves": curves,
    }


def learn(chain: Chain, seeds: Sequence[int]) -> dict[str, Floats]:
    """Errors ``[rates, S]`` of the learned means; both methods begin at zero."""
    seen = transitions(chain, seeds, UPDATES)
    shape = (len(seeds), chain.states)
    rates = {method: found[:, None, None] for method, found in RATES.items()}
    values = np.zeros((len(RATES["TD"]), *shape))
    quantiles = np.zeros((len(RATES["QTD"]), *shape, QUANTILES))
    for rewards, successors in zip(*seen, strict=True):
        values = td.update(values, rewards, successors, chain.discount, rates["TD"])
        quantiles = quantile.update(quantiles, rewards, successors, chain.discount, rates["QTD"][..., None])
    return {"TD": _error(values, chain), "QTD": _error(quantiles.mean(-1), chain)}


def _error(values: Floats, chain: Chain) -> Floats:
    error: Floats = np.sqrt(np.square(values - chain.values()).mean(-1))
    return error
