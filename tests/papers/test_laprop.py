"""LaProp, arXiv:2002.04839, and adaptive gradient clipping, arXiv:2102.06171, written out for one tensor in float64."""

from __future__ import annotations

import math

import pytest
from torch_optimizers import SHAPES, STEPS, Tensors, gradients, numbers, parameters

from composer.optim import LaProp
from composer.optim.schedules import Linear

BETA1, BETA2, EPSILON, CLIP, FLOOR = 0.9, 0.99, 1e-20, 0.3, 0.5


def norm(values: list[float]) -> float:
    return math.sqrt(sum(value * value for value in values))


def reference(weights: list[float], seed: int, copy: int, path: str, clip: float | None) -> list[float]:
    """The entries of one tensor after ``STEPS`` steps, entry by entry."""
    first, second = [0.0] * len(weights), [0.0] * len(weights)
    for step in range(STEPS):
        given: Tensors = gradients(2, step)
        gradient = given[path][seed, copy].double().flatten().tolist()
        if clip is not None:
            factor = max(1.0, norm(gradient) / (clip * max(FLOOR, norm(weights))))
            gradient = [entry / factor for entry in gradient]
        rate = 1e-2 + (1e-3 - 1e-2) * min(step / 40, 1.0)
        for index, entry in enumerate(gradient):
            second[index] = BETA2 * second[index] + (1 - BETA2) * entry**2
            root = math.sqrt(second[index] / (1 - BETA2 ** (step + 1))) + EPSILON
            first[index] = BETA1 * first[index] + (1 - BETA1) * entry / root
            weights[index] -= rate * first[index] / (1 - BETA1 ** (step + 1))
    return weights


@pytest.mark.parametrize("clip", [None, CLIP])
def test_steps_are_those_of_the_formula(clip: float | None) -> None:
    ours, before = parameters(2), parameters(2)
    ours["head.weight"].zero_()  # Its bound is that of the floor.
    before["head.weight"].zero_()
    schedule = Linear(start=1e-2, end=1e-3, updates=40)
    betas = {"beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON}
    declared = LaProp(learning_rate=schedule, adaptive_clip=clip, weight_norm_floor=FLOOR, **betas)
    state = declared.build(ours, numbers(2))
    for step in range(STEPS):
        state.step(list(gradients(2, step).values()))
    for path in SHAPES:
        for seed in range(2):
            for copy in range(2):
                expected = reference(before[path][seed, copy].double().flatten().tolist(), seed, copy, path, clip)
                assert ours[path][seed, copy].flatten().tolist() == pytest.approx(expected, rel=2e-4, abs=2e-6)
    assert state.count("head.weight").tolist() == [STEPS, STEPS] and declared.moments() == 2
