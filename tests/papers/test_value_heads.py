"""Dueling and implicit quantile heads against their formulas: arXiv:1511.06581, arXiv:1806.06923."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from composer.networks.heads import Head
from composer.networks.initialize import draw, draw_buffers
from composer.spec.random_streams import derive

HEADS: TypeAdapter[Head] = TypeAdapter(Head)
FEATURES, ACTIONS = 6, 3
HIDDEN = [{"kind": "linear", "width": 5}, {"kind": "relu"}]
ATOMS = {"kind": "categorical_value", "values": "per_action", "atoms": 4, "low": 0.0, "high": 1.0}
NORMAL = {"kind": "he_normal"}


def built(table: dict[str, Any], seed: int = 0) -> nn.Module:
    head = HEADS.validate_python(table)
    with torch.device("meta"):
        module = head.build((FEATURES,), ACTIONS)
    outline = head.outline((FEATURES,), ACTIONS)
    state = draw(outline, lambda path: derive(seed, path)) | draw_buffers(outline, lambda path: derive(seed, path))
    module.load_state_dict(state, assign=True)
    return module.eval()


def features(samples: int = 7) -> Tensor:
    return torch.randn(samples, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("inner", [{"kind": "discrete_value"}, ATOMS], ids=lambda table: table["kind"])
@pytest.mark.parametrize("hidden", [None, HIDDEN], ids=["direct", "hidden"])
def test_dueling_is_value_plus_centred_advantage(inner: dict[str, Any], hidden: object) -> None:
    module = built({"kind": "dueling", "head": inner, "hidden": hidden})
    x = features()
    output, value, advantage = module(x), module.value(x), module.advantage(x)
    entries = (4,) if inner is ATOMS else ()
    assert value.shape == (7, 1, *entries) and advantage.shape == output.shape == (7, ACTIONS, *entries)
    for action in range(ACTIONS):
        torch.testing.assert_close(output[:, action], value[:, 0] + advantage[:, action] - advantage.mean(1))
    # What makes the streams identifiable: over actions the output is the value on the average, entry by entry.
    torch.testing.assert_close(output.mean(1), value[:, 0])
    with torch.no_grad():
        module.get_parameter("advantage.1.linear.bias" if hidden else "advantage.linear.bias").add_(3.0)
    torch.testing.assert_close(module(x), output)


def test_streams_share_nothing() -> None:
    module = built({"kind": "dueling", "head": {"kind": "discrete_value"}, "hidden": HIDDEN})
    counts = [sum(value.numel() for value in stream.parameters()) for stream in (module.value, module.advantage)]
    hidden = FEATURES * 5 + 5
    assert counts == [hidden + 5 + 1, hidden + 5 * ACTIONS + ACTIONS]
    assert not torch.equal(module.value[0][0].weight, module.advantage[0][0].weight)


@pytest.mark.parametrize("values", ["one", "per_action"])
@pytest.mark.parametrize("hidden", [None, HIDDEN], ids=["direct", "hidden"])
def test_implicit_quantiles_are_features_times_embedded_levels(values: str, hidden: object) -> None:
    samples, cosines = 5, 8
    table = {"kind": "implicit_quantile", "samples": samples, "cosines": cosines, "values": values, "hidden": hidden}
    module = built({**table, "weight": NORMAL, "bias_init": {"kind": "uniform_fan_in"}}).double()
    x = features().double()
    for mode in (module.eval(), module.train()):
        quantiles, levels = mode(x)
        assert quantiles.shape == levels.shape == ((7, samples) if values == "one" else (7, ACTIONS, samples))
        weight, bias = module.embedding.weight, module.embedding.bias
        for sample in range(7):
            for index in range(samples):
                tau = (levels if values == "one" else levels[:, 0])[sample, index]
                cosine = torch.stack([torch.cos(math.pi * i * tau) for i in range(1, cosines + 1)])
                product = x[sample] * (weight @ cosine + bias).clamp_min(0)
                expected = module.output(product)
                got = quantiles[sample, index] if values == "one" else quantiles[sample, :, index]
                torch.testing.assert_close(got, expected.squeeze(-1) if values == "one" else expected)


def test_levels_are_midpoints_in_evaluation_and_drawn_in_training() -> None:
    module = built({"kind": "implicit_quantile", "samples": 4})
    x = features(500)
    _, levels = module(x)
    assert torch.equal(levels, torch.tensor([0.125, 0.375, 0.625, 0.875]).expand(500, 4))
    assert int(module.draws) == 0, "evaluation leaves the stream alone"
    module.train()
    first, second = module(x)[1], module(x)[1]
    assert int(module.draws) == 2
    assert not torch.equal(first, second)
    ordered = torch.cat([first.flatten(), second.flatten()]).sort().values
    n = ordered.numel()
    assert (ordered - (torch.arange(n) + 0.5) / n).abs().max() * n**0.5 < 1.63, "Kolmogorov's statistic, 1 % level"
    # The stream is the buffers' alone: put back, it repeats; another key draws others.
    module.draws.zero_()
    assert torch.equal(module(x)[1], first)
    module.draws.zero_()
    module.key.add_(1)
    assert not torch.equal(module(x)[1], first)
