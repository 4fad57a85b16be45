"""Hyperspherical weights in a real learner: on the sphere after every update, while averages of them are not."""

from __future__ import annotations

import torch
from pydantic import TypeAdapter
from tiny_runs import learner, transitions

from composer.networks.blocks import Block
from composer.networks.modules.projection import project, to_unit_norm
from composer.networks.outline import Outline
from composer.training.learner import Learner

TRUNK = """networks.critic.trunk=[
    { use = "simba_v2", width = 16, blocks = 1 },
    { use = "ngpt_mlp_block", width = 16, expansion = 2 },
    { use = "simba_v2_hidden", width = 16 },
]"""
HEAD = "networks.critic.head={ kind = 'scalar', unit_norm = true }"
COLUMNS = "trunk.1.0.block.1.weight"


def axis(path: str) -> int:
    return -2 if path == COLUMNS else -1


def projected(agent: Learner) -> list[str]:
    return [path for path, plan in agent.outlines["critic"].named_parameters() if plan.unit_axis is not None]


def test_norms_stay_one_over_updates_and_those_of_averages_do_not() -> None:
    rate = "optimizers.critic={ kind = 'adamw', learning_rate = 1e-2, weight_decay = 0.1 }"
    agent = learner(TRUNK, HEAD, rate, "seeds=[0, 3]")
    tensors = agent.tensors()
    online = {path: tensors[f"networks/critic/{path}"] for path in projected(agent)}
    averaged = {path: tensors[f"averages/target_critic/{path}"] for path in online}
    first = {path: value.detach().clone() for path, value in online.items()}
    expected = {path: value.clone() for path, value in averaged.items()}
    assert len(online) == 8 and COLUMNS in online
    for step in range(50):
        agent.update(transitions(agent, step))
        for path, value in online.items():
            norms = value.detach().double().norm(dim=axis(path))
            torch.testing.assert_close(norms, torch.ones_like(norms), rtol=0, atol=1e-6, msg=path)
            expected[path].lerp_(value.detach(), 0.01)
    for path, value in online.items():
        assert (value - first[path]).abs().max() > 0.05, path
        torch.testing.assert_close(averaged[path], expected[path])
        # The mean of unit vectors that turned is shorter than one.
        assert averaged[path].norm(dim=axis(path)).min() < 0.995, path


def test_a_frozen_weight_stays_as_it_was_projected_when_drawn() -> None:
    trunk = """networks.critic.trunk=[
        { kind = "frozen", block = { kind = "linear", width = 12, unit_norm = "rows" } },
        { kind = "linear", width = 8 }]"""
    agent = learner(trunk)
    frozen = agent.tensors()["networks/critic/trunk.0.block.weight"]
    before = frozen.clone()
    torch.testing.assert_close(before, to_unit_norm(before, -1))
    for step in range(3):
        agent.update(transitions(agent, step))
    assert torch.equal(frozen, before)


def test_gains_and_shifts_stay_at_their_joint_norm() -> None:
    """The closed form of FlashSAC's norms (arXiv:2604.04539), and a learner over its trunk."""
    draws = torch.Generator().manual_seed(0)
    values = {f"x.{name}": torch.randn(2, 1, 5, generator=draws, dtype=torch.float64) for name in ("weight", "bias")}
    was = {path: value.clone() for path, value in values.items()}
    block = TypeAdapter[Block](Block).validate_python({"kind": "batch_norm", "unit_norm": True})
    project(values, Outline("x", (5,), (5,), children={"x": block.outline((5,))}).projections())
    size = (was["x.weight"].square().sum(-1, keepdim=True) + was["x.bias"].square().sum(-1, keepdim=True)).sqrt()
    for path, value in values.items():
        torch.testing.assert_close(value, was[path] * 5**0.5 / size, rtol=1e-12, atol=0)
    trunk = 'networks.critic.trunk=[{ use = "flash_sac", width = 8, blocks = 1 }]'
    agent = learner(trunk, "optimizers.critic={ kind = 'adam', learning_rate = 1e-2 }", "seeds=[0, 3]")
    tensors = agent.tensors()
    norms = [path for path, plan in agent.outlines["critic"].named_parameters() if plan.shares_norm]
    shown = {name: tensors[f"networks/critic/{name}"] for name in norms}
    first = {name: value.detach().clone() for name, value in shown.items()}
    for step in range(3):
        agent.update(transitions(agent, step))
    assert len(norms) == 7 and all(not torch.equal(shown[name], first[name]) for name in norms)
    for name in (each for each in norms if each.endswith("weight")):
        pair = torch.cat([shown[each] for each in (name, name.removesuffix("weight") + "bias") if each in shown], -1)
        torch.testing.assert_close(pair.square().sum(-1), torch.full((2, 2), float(shown[name].shape[-1])))
