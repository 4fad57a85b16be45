"""DreamerV3's recurrent state-space model step by step in NumPy, arXiv:2301.04104."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from tiny_dreamer import dreamer

from composer.algorithms.rssm import RSSM, Latent
from composer.networks.blocks import Block
from composer.networks.initialize import draw
from composer.spec.random_streams import derive
from composer.spec.shape import ShapeError

Array = NDArray[np.float64]
BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)


def rms(x: Array, gain: Array) -> Array:
    return x / np.sqrt((x**2).mean() + 1e-4) * gain


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def layers(weights: dict[str, Array], path: str, depth: int, x: Array) -> Array:
    """Dense, RMS norm, SiLU: a part ``dreamer_mlp``."""
    for index in range(depth):
        at = f"{path}.{index}"
        x = silu(rms(weights[f"{at}.0.weight"] @ x + weights[f"{at}.0.bias"], weights[f"{at}.1.weight"]))
    return x


def block_gru(weights: dict[str, Array], path: str, groups: int, h: Array, z: Array, a: Array) -> Array:
    """Output by output: the block-diagonal layers as loops over blocks."""
    inputs = []
    for name, part in (("state", h), ("latent", z), ("action", a)):
        linear = weights[f"{path}.{name}.weight"] @ part + weights[f"{path}.{name}.bias"]
        inputs.append(silu(rms(linear, weights[f"{path}.{name}_norm.weight"])))
    size, joined = len(h) // groups, np.concatenate(inputs)
    mixed, gates = np.zeros(len(h)), np.zeros(3 * len(h))
    for g in range(groups):
        rows = slice(g * size, (g + 1) * size)
        mixed[rows] = weights[f"{path}.mixed.weight"][rows] @ np.concatenate([h[rows], joined])
    mixed = silu(rms(mixed + weights[f"{path}.mixed.bias"], weights[f"{path}.mixed_norm.weight"]))
    new = np.zeros(len(h))
    for g in range(groups):
        rows, three = slice(g * size, (g + 1) * size), slice(3 * g * size, 3 * (g + 1) * size)
        gates[three] = weights[f"{path}.gates.weight"][three] @ mixed[rows] + weights[f"{path}.gates.bias"][three]
        reset, candidate, update = np.split(gates[three], 3)
        kept = sigmoid(update - 1)
        new[rows] = kept * np.tanh(sigmoid(reset) * candidate) + (1 - kept) * h[rows]
    return new


def test_the_model_observes_step_by_step() -> None:
    """Two seeds; an episode begins in the middle, and actions are beyond 1."""
    agent, generator = dreamer(), torch.Generator().manual_seed(0)
    share, length, rows = 0.01, 5, 3

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(2, rows, *shape, generator=generator)

    with torch.no_grad():
        for network in agent.networks.values():
            for value in network.parameters.values():
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
        model = RSSM.of(agent.networks, 3, 4, torch.full((2, 1, 1, 1), share))
        first = torch.zeros(2, rows, length)
        first[:, 1, 2] = 1
        before, action = Latent(drawn(8), drawn(12)), 2 * drawn(length, 2)
        seen, noise = drawn(length, 3), drawn(length, 3)
        tokens = model.tokens(seen.flatten(1, 2)).unflatten(1, (rows, length))
        found = model.observe_all(before, action, first, tokens, noise)
        prior = model.prior_of(found.latent.recurrent.flatten(1, 2)).unflatten(1, (rows, length))
    for seed in range(2):
        weights = {
            f"{role}.{path}": value[seed, 0].detach().double().numpy()
            for role, network in agent.networks.items()
            for path, value in network.parameters.items()
        }
        for row in range(rows):
            h, z = (part[seed, row].double().numpy() for part in before)
            for time in range(length):
                a = action[seed, row, time].double().numpy()
                if first[seed, row, time]:
                    h, z, a = 0 * h, 0 * z, 0 * a
                h = block_gru(weights, "dynamics.trunk", 2, h, z, a / np.maximum(1, np.abs(a)))
                token = layers(weights, "encoder.trunk", 1, seen[seed, row, time].double().numpy())
                inner = layers(weights, "posterior.trunk.0", 1, np.concatenate([h, token]))
                logits = weights["posterior.trunk.1.weight"] @ inner + weights["posterior.trunk.1.bias"]
                chances = []
                z = np.zeros(12)
                for variable in range(3):
                    powers = np.exp(logits[4 * variable : 4 * variable + 4])
                    chance = (1 - share) * powers / powers.sum() + share / 4
                    uniform = 0.5 * (1 + math.erf(float(noise[seed, row, time, variable]) / math.sqrt(2)))
                    z[4 * variable + int((uniform > np.cumsum(chance)[:-1]).sum())] = 1
                    chances.append(chance)
                inner = layers(weights, "prior.trunk.0", 2, h)
                logits = (weights["prior.trunk.1.weight"] @ inner + weights["prior.trunk.1.bias"]).reshape(3, 4)
                guess = (1 - share) * np.exp(logits) / np.exp(logits).sum(1, keepdims=True) + share / 4
                here = (seed, row, time)
                np.testing.assert_allclose(found.latent.recurrent[here], h, atol=2e-5)
                np.testing.assert_allclose(found.latent.stochastic[here], z, atol=1e-6)
                np.testing.assert_allclose(found.posterior[here], np.stack(chances), atol=2e-5)
                np.testing.assert_allclose(prior[here], guess, atol=2e-5)


def test_block_diagonal_weights_count_all_inputs_as_fan_in() -> None:
    """DreamerV3's code divides by the root of all inputs, so that the deviation is 1 / sqrt(in)."""
    table: dict[str, Any] = {"kind": "block_linear", "width": 512, "blocks": 8, "weight": {"kind": "lecun_normal"}}
    outline = BLOCKS.validate_python(table).outline((1024,))
    assert outline.parameters["weight"].shape == (512, 128)
    drawn = draw(outline, lambda path: derive(0, path))["weight"]
    assert drawn.std().item() == pytest.approx(1 / 32, rel=0.02)
    assert outline.flops == 512 * (2 * 128 + 1)


@pytest.mark.parametrize(
    ("table", "shape", "said"),
    [
        ({"kind": "block_linear", "width": 6, "blocks": 4}, (8,), "6 output features cannot be dealt into 4 blocks"),
        ({"kind": "block_linear", "width": 8, "blocks": 4}, (6,), "6 input features cannot be dealt into 4 blocks"),
        ({"kind": "block_gru", "width": 8, "latent": 6, "hidden": 4}, (14,), r"more than 8 \+ 6 entries"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(table: dict[str, Any], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        BLOCKS.validate_python(table).outline(shape)
