"""``composer tabular interference``: gradients of neighbouring states after TD, regression and distillation.

A network learns the values of a random walk on a circle from the positions of its states; positions between them are
held out. Sources: Lyle et al., arXiv:2206.02126, and Lyle, arXiv:2212.05377: TD-trained networks generalise less
between states, and a fresh network that is distilled from one generalises better. The task is this project's.
Tests: tests/studies/tabular/test_value_network.py.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from composer.studies.statistics import Scores
from composer.studies.tabular import value_network as network
from composer.studies.tabular.chains import Chain
from composer.studies.tabular.noises import Floats
from composer.studies.tabular.value_network import Parameters

STATES: Final = 48
DISCOUNT: Final = 0.99
FREQUENCIES: Final = (1, 2, 3, 4)
UPDATES: Final = 2_000
TARGET_EVERY: Final = 5
"""Updates between two copies to TD's target network."""
NOISE: Final = 0.1
"""Standard deviation of the noise that is added to inputs, which lie in [-1, 1], to measure robustness."""
DISTANCES: Final = (1, 2, 4, 8, 16, 24)


def circle(seed: int) -> Chain:
    """A random walk on a circle, with rewards drawn from a unit normal."""
    steps = 0.5 * (np.roll(np.eye(STATES), 1, 1) + np.roll(np.eye(STATES), -1, 1))
    return Chain(steps, np.random.default_rng(seed).standard_normal(STATES), DISCOUNT)


def positions(offset: float) -> Floats:
    """Sines and cosines of the angles of states, moved by a share of the distance of two, ``[n, 2 f]``."""
    angles = 2 * np.pi * (np.arange(STATES) + offset) / STATES
    return np.concatenate([[np.cos(f * angles), np.sin(f * angles)] for f in FREQUENCIES]).T


def train(seeds: int) -> dict[str, Parameters]:
    """Networks by how they learned, each run from the same fresh ones; the student begins with others."""
    chains = [circle(seed) for seed in range(seeds)]
    inputs, start = positions(0.0), network.fresh(range(seeds), 2 * len(FREQUENCIES))
    rewards, goals = (np.stack(found) for found in ([c.rewards for c in chains], [c.values() for c in chains]))
    kept = np.zeros_like(goals)

    def bootstrapped(update: int, values: Floats) -> Floats:
        if update % TARGET_EVERY == 0:
            kept[:] = values
        return rewards + DISCOUNT * kept @ chains[0].transition.T

    found = {"fresh": start, "TD": network.train(start, inputs, bootstrapped, UPDATES)}
    found["regression on values"] = network.train(start, inputs, lambda *_: goals, UPDATES)
    taught = network.values(found["TD"], inputs)
    student = network.fresh(range(seeds, 2 * seeds), 2 * len(FREQUENCIES))
    found["distilled from TD"] = network.train(student, inputs, lambda *_: taught, UPDATES)
    return found


def measure(seeds: int) -> dict[str, Any]:
    """Rows, curves and what was measured; see ``composer.studies.tabular.report``."""
    goals = np.stack([circle(seed).values() for seed in range(seeds)])
    between = (goals + np.roll(goals, -1, 1)) / 2
    drawn = np.random.default_rng(0).standard_normal((20, *positions(0.0).shape))
    noisy = (positions(0.0) + NOISE * drawn).reshape(-1, 2 * len(FREQUENCIES))
    networks, rows, curves = train(seeds), [], []
    measured: dict[str, dict[str, Floats]] = {}
    for name, parameters in networks.items():
        cosines = network.interference(parameters, positions(0.0))
        near = np.stack([np.mean([cosines[:, i, (i + d) % STATES] for i in range(STATES)], 0) for d in DISTANCES])
        measured[name] = {
            "error": _error(parameters, positions(0.0), goals),
            "held_out_error": _error(parameters, positions(0.5), between),
            "error_under_noise": _error(parameters, noisy, np.tile(goals, (1, len(noisy) // STATES))),
            "cosine_of_neighbours": near[0],
        }
        rows.append({"network": name} | {key: Scores.of(each).summary() for key, each in measured[name].items()})
        points = [Scores.of(each, bounds=(-1.0, 1.0)).summary() for each in near]
        curves.append({"panel": "interference", "line": name, "x": list(DISTANCES), "y": points})
    for ours, theirs in (("TD", "regression on values"), ("distilled from TD", "TD")):
        apart = {key: Scores.of(each - measured[theirs][key]).summary() for key, each in measured[ours].items()}
        rows.append({"network": f"{ours} - {theirs}"} | apart)
    return {
        "measured": "error of values at states, between them and under noise, in standard deviations of the value; "
        "cosine of the gradients of two states",
        "settings": {"states": STATES, "discount": DISCOUNT, "updates": UPDATES, "target copied every": TARGET_EVERY},
        "rows": rows,
        "axes": {"x": "distance of two states", "y": "cosine of their gradients", "scale": "linear"},
        "curves": curves,
    }


def _error(parameters: Parameters, inputs: Floats, goals: Floats) -> Floats:
    """Root mean square error ``[S]`` in standard deviations of the goals, ``[S, n]``."""
    error: Floats = np.sqrt(np.square(network.values(parameters, inputs) - goals).mean(1)) / goals.std(1)
    return error
