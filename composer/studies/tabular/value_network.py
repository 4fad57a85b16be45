"""Small value networks in NumPy, one for each run, with the gradients by which states interfere.

Legend: S runs, n inputs, d their length, w units of a hidden layer. Tests: tests/studies/tabular/test_value_network.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from composer.studies.tabular.noises import Floats

WIDTH: Final = 64
LEARNING_RATE: Final = 1e-3
DECAYS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8

Parameters = list[Floats]
"""Weights ``[S, in, out]`` and biases ``[S, 1, out]`` of each layer in turn."""


def fresh(seeds: range, length: int) -> Parameters:
    """Two hidden layers of ReLU: He's normal weights, zero biases, one output."""
    sizes = (length, WIDTH, WIDTH, 1)
    found: Parameters = []
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds]
    for before, after in pairwise(sizes):
        scale = np.sqrt((2 if after > 1 else 1) / before)
        found.append(np.stack([rng.standard_normal((before, after)) * scale for rng in rngs]))
        found.append(np.zeros((len(seeds), 1, after)))
    return found


def layers(parameters: Parameters, inputs: Floats) -> list[Floats]:
    """Inputs ``[n, d]`` and what each layer makes of them, ``[S, n, .]``; the last are values ``[S, n, 1]``."""
    found = [np.broadcast_to(inputs, (parameters[0].shape[0], *inputs.shape))]
    for i in range(0, len(parameters), 2):
        sums = found[-1] @ parameters[i] + parameters[i + 1]
        found.append(sums if i + 2 == len(parameters) else np.maximum(sums, 0))
    return found


def values(parameters: Parameters, inputs: Floats) -> Floats:
    """Values of inputs ``[n, d]``: ``[S, n]``."""
    return layers(parameters, inputs)[-1][..., 0]


def slopes(parameters: Parameters, passed: list[Floats]) -> list[Floats]:
    """Derivatives of each input's value by the sums of each layer, ``[S, n, .]``, the first layer's first."""
    back = [np.ones_like(passed[-1])]
    for i in range(len(parameters) - 2, 0, -2):
        back.append((back[-1] @ parameters[i].swapaxes(1, 2)) * (passed[i // 2] > 0))
    return back[::-1]


def interference(parameters: Parameters, inputs: Floats) -> Floats:
    """Cosines of the gradients of the values of two inputs by all parameters, ``[S, n, n]``.

    A step on the value of one input moves that of another in proportion to the inner product.
    """
    passed = layers(parameters, inputs)
    products = np.zeros((passed[0].shape[0], len(inputs), len(inputs)))
    for before, slope in zip(passed, slopes(parameters, passed), strict=False):
        products += (before @ before.swapaxes(1, 2) + 1) * (slope @ slope.swapaxes(1, 2))
    sizes = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    cosines: Floats = products / (sizes[:, :, None] * sizes[:, None])
    return cosines


def train(parameters: Parameters, inputs: Floats, target: Callable[[int, Floats], Floats], updates: int) -> Parameters:
    """Adam on the mean squared error to ``target(update, values)``, ``[S, n]``, which is not differentiated."""
    current = [each.copy() for each in parameters]
    first, second = ([np.zeros_like(each) for each in current] for _ in range(2))
    for update in range(updates):
        passed = layers(current, inputs)
        error = 2 / len(inputs) * (passed[-1] - target(update, passed[-1][..., 0])[..., None])
        for i, slope in enumerate(slopes(current, passed)):
            sums = error * slope
            for at, gradient in ((2 * i, passed[i].swapaxes(1, 2) @ sums), (2 * i + 1, sums.sum(1, keepdims=True))):
                first[at] += (1 - DECAYS[0]) * (gradient - first[at])
                second[at] += (1 - DECAYS[1]) * (gradient * gradient - second[at])
                near, far = (1 - decay ** (update + 1) for decay in DECAYS)
                current[at] -= LEARNING_RATE * first[at] / near / (np.sqrt(second[at] / far) + EPSILON)
    return current
