"""Frozen and detached blocks: what learns, what does not, and what is refused because it never would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from tiny_runs import TINY, learner, transitions

from composer.blueprint import check
from composer.networks.blocks import Block
from composer.spec.shape import ShapeError

LINEAR: dict[str, Any] = {"kind": "linear", "width": 4}
FROZEN: dict[str, Any] = {"kind": "frozen", "block": LINEAR}
DETACHED: dict[str, Any] = {"kind": "detached", "block": LINEAR}
NORM: dict[str, Any] = {"kind": "layer_norm", "affine": False}


def parse(table: object) -> Block:
    return TypeAdapter[Block](Block).validate_python(table)


def test_frozen_parameters_outlive_training_and_weight_decay() -> None:
    trunk = """networks.critic.trunk=[
        { kind = "linear", width = 8 },
        { kind = "frozen", block = { kind = "repeat", times = 2, block = [
            { kind = "linear", width = 8 }, { kind = "layer_norm" },
        ] } },
        { kind = "linear", width = 8 },
    ]"""
    decay = "optimizers.critic={ kind = 'adamw', learning_rate = 1e-2, weight_decay = 0.5 }"
    agent = learner(trunk, decay, "seeds=[0, 3]")
    tensors = agent.tensors()
    before = {name: value.detach().clone() for name, value in tensors.items()}
    for step in range(20):
        agent.update(transitions(agent, step))
    held = [name for name in tensors if name.startswith(("networks/critic/trunk", "averages/target_critic/trunk"))]
    for name in held:
        assert torch.equal(tensors[name], before[name]) is ("trunk.1." in name), name
    assert len([name for name in held if "trunk.1." in name]) == 2 * 8
    moments = [name for name in tensors if name.startswith("optimizers/critic/first.trunk")]
    assert len(moments) == 4 and not any("trunk.1." in name for name in moments), "no moments beside what is frozen"
    outline = agent.outlines["critic"]
    frozen = 2 * (8 * 8 + 8 + 8 + 8)
    assert outline.count() - outline.count(trainable_only=True) == frozen


def test_gradients_pass_a_frozen_block_and_stop_at_a_detached_one() -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    frozen, detached = parse(FROZEN).build((4,)), parse(DETACHED).build((4,))
    assert [value.requires_grad for value in frozen.parameters()] == [False, False]
    (gradient,) = torch.autograd.grad(frozen(x).sum(), x)
    torch.testing.assert_close(gradient, frozen.get_parameter("block.weight").sum(0).expand(5, 4))
    reached = torch.autograd.grad(detached(x).sum(), [x, *detached.parameters()], allow_unused=True)
    assert reached[0] is None and all(gradient is not None for gradient in reached[1:])


def test_values_are_those_of_the_block_itself() -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    for table in (FROZEN, DETACHED):
        module = parse(table).build((4,))
        torch.testing.assert_close(module(x), module.get_submodule("block")(x))


@pytest.mark.parametrize(
    ("table", "steps"),
    [
        ([LINEAR, DETACHED], ("layers", 1)),
        ([LINEAR, NORM, [NORM, {"kind": "frozen", "block": DETACHED}]], ("layers", 2)),
        ({"kind": "repeat", "times": 3, "block": DETACHED}, ("block",)),
        ({"kind": "repeat", "times": 1, "block": [LINEAR, DETACHED]}, ("block", "layers", 1)),
        ({"kind": "residual", "block": [LINEAR, DETACHED]}, ("block", "layers", 1)),
        ([LINEAR, {"kind": "parallel", "join": "sum", "branches": [DETACHED, [NORM, DETACHED]]}], ("layers", 1)),
    ],
)
def test_what_no_gradient_would_ever_reach_is_refused(table: object, steps: tuple[str | int, ...]) -> None:
    for method in (parse(table).outline, parse(table).build):
        with pytest.raises(ShapeError, match="what comes before would never be trained") as caught:
            method((4,))
        assert caught.value.steps == steps


@pytest.mark.parametrize(
    "table",
    [
        [NORM, DETACHED, LINEAR],
        [FROZEN, DETACHED],
        [LINEAR, {"kind": "residual", "block": DETACHED}],
        [LINEAR, {"kind": "lerp_residual", "alpha_init": 0.5, "block": DETACHED}],
        [LINEAR, {"kind": "parallel", "join": "sum", "branches": [DETACHED, LINEAR]}],
        [LINEAR, {"kind": "repeat", "times": 0, "block": DETACHED}],
    ],
)
def test_what_learns_by_another_way_or_not_at_all_is_accepted(table: object) -> None:
    parse(table).outline((4,))


def test_check_names_the_line_where_gradients_would_stop(tmp_path: Path) -> None:
    text = TINY.read_text().replace(
        'critic = { trunk = { use = "simba", width = 16, blocks = 1 },',
        'critic = { trunk = [{ kind = "linear", width = 4 }, { kind = "detached", block = { kind = "tanh" } }],',
    )
    spoilt = tmp_path / "spoilt.toml"
    spoilt.write_text(text)
    (problem,) = check(spoilt)
    assert "no gradient passes 'detached' here" in str(problem)
    assert problem.line == 1 + text[: text.index('kind = "detached"')].count("\n")
