"""Sizes of the heads among the parts, and of whole networks with them, against formulas written from released code.

How each was established: none of the papers prints a count; the formulas add up the layers of DeepMind's dqn_zoo
(C51, QR-DQN, IQN, the streams of its Rainbow without noise) and of the authors' code (SimbaV2, BRO, BBF) by hand.
3136 features: the flattened output of DQN's convolutions; 18 actions: Atari's full set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from composer.blueprint.syntax.nodes import annotate, plain
from composer.blueprint.syntax.parts_expand import expand
from composer.networks.blocks import Block
from composer.networks.heads import Head
from composer.networks.network import Network

CONV, ACTIONS = 3136, 18
C51 = {"use": "c51"}


def expanded(table: dict[str, Any]) -> Any:
    tree, problems = expand(annotate(table, {}, "test"))
    assert not problems
    return plain(tree)


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def streams(outputs: Callable[[int], int]) -> int:
    """Two hidden layers on the convolutions, then one output layer for the value and one for the advantages."""
    return 2 * dense(CONV, 512) + dense(512, outputs(1)) + dense(512, outputs(ACTIONS))


@pytest.mark.parametrize(
    ("table", "features", "count", "output"),
    [
        (C51, 512, dense(512, ACTIONS * 51), (ACTIONS, 51)),
        ({"use": "hl_gauss"}, 512, dense(512, ACTIONS * 51), (ACTIONS, 51)),
        ({"use": "qr_dqn"}, 512, dense(512, ACTIONS * 200), (ACTIONS, 200)),
        ({"use": "iqn"}, CONV, dense(64, CONV) + dense(CONV, 512) + dense(512, ACTIONS), (ACTIONS, 64)),
        ({"use": "dueling"}, CONV, streams(lambda actions: actions), (ACTIONS,)),
        ({"use": "dueling", "head": C51}, CONV, streams(lambda actions: actions * 51), (ACTIONS, 51)),
        # Every weight and bias of Rainbow's streams comes with the scale of its noise.
        ({"use": "rainbow"}, CONV, 2 * streams(lambda actions: actions * 51), (ACTIONS, 51)),
        ({"use": "c51", "values": "one"}, 512, dense(512, 51), (51,)),
        ({"use": "simba_v2_value"}, 512, dense(512, 101), (101,)),
        ({"use": "bro_value"}, 512, dense(512, 100), (100,)),
    ],
    ids=lambda value: "+".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_sizes(table: dict[str, Any], features: int, count: int, output: tuple[int, ...]) -> None:
    head = TypeAdapter[Head](Head).validate_python(expanded(table))
    outline = head.outline((features,), ACTIONS)
    with torch.device("meta"):
        module = head.build((features,), ACTIONS)
    assert outline.count() == count == sum(value.numel() for value in module.parameters())
    assert outline.output == output


def network(trunk: Any, head: dict[str, Any], copies: int = 1) -> Network:
    return Network.model_validate(expanded({"trunk": trunk, "head": head, "copies": copies}))


def simba_v2(inputs: int, h: int, blocks: int) -> int:
    """The shift's input, a scaler; in each block two matrices, a scaler, alpha."""
    return (inputs + 1) * h + h + blocks * (8 * h * h + 5 * h)


def test_simba_v2_whole() -> None:
    """Its heads have two layers, the first with a scaler, the second with a bias; the actor has two such heads."""
    critic = network([{"use": "simba_v2"}, {"use": "simba_v2_hidden"}], {"use": "simba_v2_value"}, 2)
    assert critic.outline((30,), 6).count() == simba_v2(30, 512, 2) + 512 * 512 + 512 + dense(512, 101)
    sizes = {"embed_scaler": 0.125, "block_scaler": 0.0625, "alpha_init": 0.5, "alpha_scale": 0.08838834764831845}
    hidden = {"use": "simba_v2_hidden", "width": 128}
    head = {"kind": "tanh_gaussian", "hidden": hidden, "unit_norm": True}
    actor = network({"use": "simba_v2", "width": 128, "blocks": 1, **sizes}, head).outline((24,), 6)
    assert actor.count() == simba_v2(24, 128, 1) + 2 * (128 * 128 + 128 + dense(128, 6))
    # Every matrix is kept on the sphere, no scaler and no bias is.
    plans = dict(actor.named_parameters())
    assert {path for path, plan in plans.items() if plan.unit_axis is not None} == {
        path for path, plan in plans.items() if len(plan.shape) == 2
    }


def test_bro_whole() -> None:
    critic = network({"use": "bro"}, {"use": "bro_value"}, 2).outline((30,), 6)
    assert critic.count() == dense(30, 512) + 1024 + 4 * (dense(512, 512) + 1024) + dense(512, 100)


def test_bbf_head_is_its_projection_and_two_linear_streams() -> None:
    """The projection is the value network's hidden layer, whose ReLU comes after."""
    trunk = [{"use": "spr_projection", "width": 2048}, {"kind": "relu"}]
    found = network(trunk, {"kind": "dueling", "head": C51}).outline((15488,), ACTIONS)
    assert found.count() == dense(15488, 2048) + dense(2048, 51) + dense(2048, ACTIONS * 51)
    projected = TypeAdapter[Block](Block).validate_python(expanded({"use": "spr_projection", "width": 2048}))
    predictor = TypeAdapter[Block](Block).validate_python(expanded({"use": "spr_predictor"}))
    assert predictor.outline(projected.outline((15488,)).output).count() == dense(2048, 2048)
    # SPR's transition model on DQN's latent: two convolutions of 3 x 3, the first on planes for actions too.
    transition = TypeAdapter[Block](Block).validate_python(expanded({"use": "spr_transition"}))
    outline = transition.outline((CONV + ACTIONS,))
    assert outline.count() == dense(9 * (64 + ACTIONS), 64) + dense(9 * 64, 64) and outline.output == (CONV,)
