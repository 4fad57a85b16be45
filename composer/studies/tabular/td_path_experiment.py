"""``composer tabular td-path``: which parts of a value TD learns first, beside regression and ridge regression.

On a symmetric chain values, dynamics and penalties share the eigenvectors of P, so that a learner is a filter: the
share of each eigenvector that it has learned after time t. Sources: Lyle et al., arXiv:2206.02126, and Lyle,
arXiv:2212.05377, on TD's dynamics; the comparison with ridge regression as set here is this project's.
Tests: tests/studies/tabular/test_td_path.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from composer.studies.statistics import DISTANCE, Scores
from composer.studies.tabular import td
from composer.studies.tabular.chains import Chain, transitions
from composer.studies.tabular.noises import Floats

STATES: Final = 30
DISCOUNT: Final = 0.95
TIMES: Final = (1.0, 5.0, 25.0)
"""Updates times step size."""
STEP_SIZE: Final = 0.02
SAMPLED: Final = "TD, sampled"

Filter = Callable[[Floats, float], Floats]
FILTERS: Final[dict[str, Filter]] = {
    "TD": lambda pull, t: -np.expm1(-t * pull),
    "regression on returns": lambda pull, t: np.full_like(pull, -np.expm1(-t)),
    "ridge, TD's penalty": lambda pull, t: t * pull / (1 + t * pull),
    "ridge, smooth penalty": lambda pull, t: t / (t + pull),
}
"""Share learned after time t of an eigenvector with eigenvalue ``pull = 1 - discount lambda`` of ``I - discount P``.

Ridge regression towards the value has the penalty ``1/t V' A V``: ``A = (I - discount P)^-1`` is TD's, whose gradient
flow it follows; ``A = I - discount P`` is small for values that differ little between neighbours.
"""


def walk(seed: int) -> Chain:
    """A symmetric random walk between two walls, with rewards drawn from a unit normal."""
    steps = 0.5 * (np.eye(STATES, k=1) + np.eye(STATES, k=-1))
    steps[0, 0] = steps[-1, -1] = 0.5
    return Chain(steps, np.random.default_rng(seed).standard_normal(STATES), DISCOUNT)


def parts(chain: Chain) -> tuple[Floats, Floats]:
    """Eigenvalues of P, rising, and its orthonormal eigenvectors, columns; P is symmetric."""
    values, vectors = np.linalg.eigh(chain.transition)
    return values, vectors


def learned(chain: Chain, name: str, time: float) -> Floats:
    """Values ``[n]`` of a learner after ``time``, from zero."""
    eigenvalues, vectors = parts(chain)
    shares = FILTERS[name](1 - chain.discount * eigenvalues, time)
    found: Floats = vectors @ (shares * (vectors.T @ chain.values()))
    return found


def measure(seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    chains = [walk(seed) for seed in range(seeds)]
    eigenvalues, vectors = parts(chains[0])
    goals = np.stack([chain.values() for chain in chains]) @ vectors
    sampled = _sampled(chains)
    rough = eigenvalues < 0
    rows, curves = [], []
    for time, values in zip(TIMES, sampled, strict=True):
        pull = 1 - DISCOUNT * eigenvalues
        shares = {name: np.tile(each(pull, time), (seeds, 1)) for name, each in FILTERS.items()}
        shares[SAMPLED] = values @ vectors / goals
        for name, each in shares.items():
            row: dict[str, Any] = {"time": time, "method": name}
            for part, chosen in (("smooth", ~rough), ("rough", rough)):
                left = np.square((1 - each[:, chosen]) * goals[:, chosen]).sum(1)
                row[f"{part}_left"] = Scores.of(
                    np.sqrt(left / np.square(goals[:, chosen]).sum(1)), bounds=DISTANCE
                ).summary()
            rows.append(row)
            if name != SAMPLED:
                points = [{"value": float(share), "low": None, "high": None} for share in each[0]]
                curves.append({"panel": f"time {time:g}", "line": name, "x": eigenvalues.tolist(), "y": points})
    return {
        "measured": "share of the value that is not learned yet, of its smooth part (eigenvalues of P above 0) and of "
        "its rough part",
        "settings": {"states": STATES, "discount": DISCOUNT, "step size of sampled TD": STEP_SIZE},
        "rows": rows,
        "axes": {"x": "eigenvalue of P (right: smooth)", "y": "share learned", "scale": "linear"},
        "curves": curves,
    }


def _sampled(chains: list[Chain]) -> list[Floats]:
    """Values ``[S, n]`` of TD on sampled transitions after each time: mean errors follow the closed form."""
    steps = round(max(TIMES) / STEP_SIZE)
    found: dict[int, list[Floats]] = {}
    for seed, chain in enumerate(chains):
        seen = transitions(replace(chain), [seed], steps)
        values = np.zeros((1, chain.states))
        for step, (rewards, successors) in enumerate(zip(*seen, strict=True), start=1):
            values = td.update(values, rewards, successors, chain.discount, STEP_SIZE)
            if step in {round(time / STEP_SIZE) for time in TIMES}:
                found.setdefault(step, []).append(values[0])
    return [np.stack(found[round(time / STEP_SIZE)]) for time in TIMES]
