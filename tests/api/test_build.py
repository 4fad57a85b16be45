"""``composer.build``: modules that hold what a learner starts with, and stand alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, learner, tiny
from torch import nn

import composer
from composer.networks.blocks import (
    BatchNorm,
    Dropout,
    FourierFeatures,
    Linear,
    Sequence,
)
from composer.networks.heads import Scalar, TanhGaussian
from composer.networks.modules.projection import to_unit_norm
from composer.spec.shape import ShapeError

# Dropout has a key, batch norm has statistics, the features are frozen: all of it is to be as in a run.
TRUNK = (
    'networks.critic.trunk=[{ kind = "fourier_features", frequencies = 3 }, { kind = "batch_norm" }, '
    '{ kind = "linear", width = 8, unit_norm = "rows" }, { kind = "dropout", rate = 0.5 }, { kind = "relu" }]'
)
OVERRIDES = ("seeds=[4, 7]", TRUNK)


@pytest.mark.parametrize("row", [0, 1])
def test_modules_are_what_a_learner_starts_with(row: int) -> None:
    blueprint, started = tiny(DRIFT, *OVERRIDES), learner(*OVERRIDES)
    built = composer.build(blueprint, seed=blueprint.seeds[row])
    assert built.keys() == started.networks.keys()
    for role, stacked in started.networks.items():
        module = built[role]
        copies = [*module] if isinstance(module, nn.ModuleList) else [module]
        assert len(copies) == stacked.copies
        for copy, single in enumerate(copies):
            state = single.state_dict()
            assert state.keys() == stacked.tensors().keys()
            for path, value in stacked.tensors().items():
                assert torch.equal(state[path], value[row, copy]), path
            trained = {path for path, value in stacked.parameters.items() if value.requires_grad}
            assert trained == {path for path, value in single.named_parameters() if value.requires_grad}
            assert all(value.device.type == "cpu" for value in state.values())


def test_the_first_seed_is_the_default_and_copies_differ() -> None:
    blueprint = tiny(DRIFT, *OVERRIDES)
    first, same, other = (composer.build(blueprint, seed=seed)["critic"] for seed in (None, 4, 7))
    assert isinstance(first, nn.ModuleList)
    one, two = (module.state_dict()["trunk.2.weight"] for module in first)
    assert not torch.equal(one, two)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_modules_compute_and_learn() -> None:
    critic = composer.build(tiny(DRIFT))["critic"]
    assert isinstance(critic, nn.ModuleList)
    values = torch.stack([module(torch.ones(6, 5)) for module in critic])
    assert values.shape == (2, 6)
    values.sum().backward()
    assert all(parameter.grad is not None for parameter in critic.parameters())


def test_blocks_heads_and_networks_alone() -> None:
    block = composer.build(Linear(width=3), (17,))
    assert isinstance(block, nn.Linear)
    assert torch.allclose(block.weight @ block.weight.mT, torch.eye(3), atol=1e-6)
    assert torch.equal(block.weight, composer.build(Linear(width=3), [17], seed=0).get_parameter("weight"))
    assert not torch.equal(block.weight, composer.build(Linear(width=3), [17], seed=1).get_parameter("weight"))
    sphere = composer.build(Linear(width=4, unit_norm="rows"), (5,)).get_parameter("weight")
    assert torch.allclose(to_unit_norm(sphere, 1), sphere)
    frozen = composer.build(FourierFeatures(frequencies=2), (5,))
    assert [value.requires_grad for value in frozen.parameters()] == [False]
    mean, log_std = composer.build(TanhGaussian(), (8,), 2)(torch.ones(3, 8))
    assert mean.shape == log_std.shape == (3, 2)
    network = composer.Network(trunk=Sequence(layers=[BatchNorm(), Dropout(rate=0.5)]), head=Scalar(), copies=3)
    many = composer.build(network, (8,), 2)
    assert isinstance(many, nn.ModuleList)
    keys = {int(module.get_buffer("trunk.1.key")) for module in many}
    assert len(keys) == 3
    assert composer.build(composer.part("simba", width=8), (5,))(torch.ones(1, 5)).shape == (1, 8)


def test_what_cannot_be_built() -> None:
    wrong: Any = composer.load("quickstart").algorithm
    with pytest.raises(TypeError, match="expected a blueprint, a network, a head or a block, got SAC"):
        composer.build(wrong)
    with pytest.raises(ShapeError, match="the head 'scalar' takes a vector"):
        composer.build(Scalar(), (3, 4, 5), 1)
    blueprint = tiny(DRIFT)
    unsound = blueprint.model_copy(update={"networks": {"actor": blueprint.networks["actor"]}})
    with pytest.raises(composer.BlueprintError, match="SAC needs a network 'critic'"):
        composer.build(unsound)
