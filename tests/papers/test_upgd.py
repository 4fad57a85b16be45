"""UPGD, arXiv:2404.00781, against the formula written out for one seed in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import EVENTFUL, begin, finished, learner, result, resumed, stopped, transitions
from torch import Tensor

from composer.networks.modules.noise import normal
from composer.optim import Upgd
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Linear

SHAPES = {"trunk.0.weight": (4, 3), "trunk.0.bias": (4,), "head.weight": (1, 4)}
KEYS = (11, -7)
BETA, SIGMA, DECAY = 0.9, 0.05, 0.3
Tensors = dict[str, Tensor]


def numbers(seeds: int) -> Hyperparameters:
    return Hyperparameters(seeds, "cpu")


def drawn(seed: int, scale: float = 1.0) -> Tensors:
    """Two seeds, two copies."""
    generator = torch.Generator().manual_seed(seed)
    return {path: scale * torch.randn(2, 2, *shape, generator=generator) for path, shape in SHAPES.items()}


class Reference:
    """One seed of it: both copies, all parameters together."""

    def __init__(self, seed: int, parameters: Tensors, decayed: set[str], scales: str = "step") -> None:
        self.seed, self.decayed, self.steps, self.draws, self.scales = seed, decayed, 0, 0, scales
        self.weights = {path: value[seed].double() for path, value in parameters.items()}
        self.utilities = {path: torch.zeros_like(value) for path, value in self.weights.items()}

    def step(self, gradients: Tensors, rate: float) -> None:
        self.steps += 1
        given = {path: gradients[path][self.seed].double() for path in self.weights}
        for path, weight in self.weights.items():
            self.utilities[path] = BETA * self.utilities[path] - (1 - BETA) * given[path] * weight
        corrected = {path: utility / (1 - BETA**self.steps) for path, utility in self.utilities.items()}
        largest = max(float(utility.max()) for utility in corrected.values())
        for path, weight in self.weights.items():
            key, draws = torch.tensor(KEYS[self.seed]), torch.tensor(self.draws)
            noise = SIGMA * normal(key, draws, tuple(weight.shape)).double()
            self.draws += 1
            scaled = corrected[path] / largest if largest > 0 else torch.zeros_like(weight)
            kept = weight * (1 - rate * DECAY) if path in self.decayed else weight
            idle = 1 - torch.sigmoid(scaled)
            if self.scales == "step":
                self.weights[path] = kept - rate * (given[path] + noise) * idle
            else:
                self.weights[path] = kept - rate * (given[path] + noise * idle)


@pytest.mark.parametrize(
    ("globs", "decayed", "scales"),
    [(["*"], set(SHAPES), "noise"), (["*weight"], set(SHAPES) - {"trunk.0.bias"}, "step")],
)
def test_steps_are_those_of_the_formula(globs: list[str], decayed: set[str], scales: Any) -> None:
    ours = drawn(0)
    schedule = Linear(start=0.1, end=0.02, updates=20)
    declared = Upgd(
        learning_rate=schedule, beta_utility=BETA, sigma=SIGMA, weight_decay=DECAY, decay=globs, scales=scales
    )
    state = declared.build(ours, numbers(2), KEYS)
    references = [Reference(seed, drawn(0), decayed, scales) for seed in range(2)]
    for step in range(30):
        gradients = drawn(step + 1, 10.0 ** (step % 4 - 2))
        state.step(list(gradients.values()))
        for seed, reference in enumerate(references):
            reference.step(gradients, 0.1 + (0.02 - 0.1) * min(step / 20, 1.0))
            for path, expected in reference.weights.items():
                torch.testing.assert_close(ours[path][seed].double(), expected, rtol=2e-5, atol=2e-6, msg=path)
                (utility,) = state.moments(path)
                torch.testing.assert_close(
                    utility[seed].double(), reference.utilities[path], rtol=1e-5, atol=1e-6, msg=path
                )
    assert state.clock().tolist() == [30, 30] and state.count("head.weight").tolist() == [30, 30]


def test_the_useful_are_protected_and_no_sign_turns_round_where_nothing_is_useful() -> None:
    declared = Upgd(learning_rate=1.0, beta_utility=0.0, sigma=0.0, weight_decay=0.0)
    weights = {"w": torch.tensor([[[2.0, 1.0, 0.0, -1.0]], [[2.0, 1.0, 3.0, -1.0]]])}
    before = weights["w"].clone()
    # Utilities -g w: 2, 1, 0, -1 for the first seed, and all below 0 for the second.
    gradient = torch.tensor([[[-1.0, -1.0, 1.0, -1.0]], [[1.0, 1.0, 1.0, -1.0]]])
    declared.build(weights, numbers(2)).step([gradient])
    moved = (before - weights["w"]) / gradient
    expected = 1 - torch.sigmoid(torch.tensor([[[1.0, 0.5, 0.0, -0.5]], [[0.0] * 4]]))
    torch.testing.assert_close(moved, expected)


def test_a_gradient_of_zeros_moves_nothing_without_noise_and_makes_no_nan() -> None:
    weights = drawn(3)
    before = {path: value.clone() for path, value in weights.items()}
    state = Upgd(sigma=0.0, weight_decay=0.0).build(weights, numbers(2))
    for _ in range(2):
        state.step([torch.zeros_like(value) for value in weights.values()])
    assert all(torch.equal(value, before[path]) for path, value in weights.items())


def test_noise_is_of_its_size_and_never_the_same_twice() -> None:
    weights = {"w": torch.zeros(2, 1, 5000)}
    state = Upgd(learning_rate=1.0, sigma=0.5, weight_decay=0.0).build(weights, numbers(2))
    steps = []
    for _ in range(2):
        before = weights["w"].clone()
        state.step([torch.zeros(2, 1, 5000)])
        steps += list((weights["w"] - before)[:, 0])
    for moved in steps:  # Half of the noise: nothing has a utility.
        assert moved.std().item() == pytest.approx(0.25, rel=0.05) and abs(moved.mean().item()) < 4 * 0.25 / 5000**0.5
    correlations = torch.corrcoef(torch.stack(steps))
    assert (correlations - torch.eye(4)).abs().max() < 0.06


def test_seeds_have_streams_of_their_own_whoever_is_beside_them() -> None:
    declared = ["optimizers.critic={ kind = 'upgd', learning_rate = 1e-2, sigma = 0.1 }"]
    together = learner("seeds=[0, 5]", *declared)
    data = transitions(together)
    together.update(data)
    for index, seed in enumerate((0, 5)):
        alone = learner(f"seeds=[{seed}]", *declared)
        alone.update(type(data)(*(value[index : index + 1] for value in data)))
        ours, theirs = together.tensors(), alone.tensors()
        assert torch.equal(ours["optimizers/critic/keys"][index], theirs["optimizers/critic/keys"][0])
        for name in theirs:
            if name.startswith(("networks/critic", "optimizers/critic")):
                torch.testing.assert_close(ours[name][index], theirs[name][0], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_resume_is_exact_after_an_injection_too(tmp_path: Path) -> None:
    """A structural change makes the optimizer anew, whose noise must go on and not begin again."""
    injected = (
        "interventions.it={ when = { kind = 'at', steps = [9] }, where = ['critic.*'], do = { kind = 'inject' }, "
        "target = 'follow' }"
    )
    declared = (*EVENTFUL, "optimizers.critic={ kind = 'upgd', learning_rate = 1e-3 }", injected)
    run, parts = finished(tmp_path / "whole", *declared)
    named = parts.learner.tensors()
    updates, before = int(parts.learner.updates[0]), len(parts.learner.optimizers["critic"].paths())
    assert updates > 20 and named["optimizers/critic/draws"].tolist() == [updates * before] * 2
    again = stopped(*begin(tmp_path / "again", *declared), at=90)
    assert result(resumed(again)) == result(run)
