"""SimbaV2 put together from its blueprint, arXiv:2502.15280: what lies on the sphere, and what its critic is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import EAGER, go_on, result, resumed, stopped

from composer.blueprint import Blueprint, load
from composer.spec.package_files import blueprints_root
from composer.training import assemble
from composer.training.learner import Learner

SHORT = (
    'environment={ kind = "test/drift" }',
    *("seeds=[0, 5]", "algorithm.batch_size=16", "algorithm.warmup_interactions=30", "algorithm.update_to_data=1"),
    *("training.env_steps=60", "training.log_every=20", "evaluation.every=60", "evaluation.episodes=1"),
    *("checkpoint.every=20", "replay.capacity=60", 'tracking={ kind = "none" }', "compute.threads=1"),
)


def small(*overrides: str) -> Blueprint:
    return load(blueprints_root() / "dmc" / "simba_v2.toml", [*SHORT, *overrides], "small").blueprint


def off_the_sphere(agent: Learner, values: dict[str, torch.Tensor], role: str) -> float:
    """Largest distance from 1 of the norms of the weights that the outline puts on the sphere."""
    plans = [(path, plan) for path, plan in agent.outlines[role].named_parameters() if plan.unit_axis is not None]
    assert plans
    norms = [
        values[path].detach().norm(dim=plan.unit_axis % len(plan.shape) - len(plan.shape))
        for path, plan in plans
        if plan.unit_axis is not None
    ]
    return max(float((norm - 1).abs().max()) for norm in norms)


def test_weights_stay_on_the_sphere_and_the_target_leaves_it(tmp_path: Path) -> None:
    run, parts = assemble.start(small(), tmp_path, None)
    go_on(parts)
    run.close()
    agent = parts.learner
    assert agent.updates.tolist() == [31.0, 31.0], "the first one after the last of 30 random actions"
    for role in ("actor", "critic"):
        assert off_the_sphere(agent, dict(agent.networks[role].parameters), role) < 1e-5
    assert off_the_sphere(agent, dict(agent.averages["target_critic"].parameters), "critic") > 1e-5


def test_the_critic_spans_what_rewards_are_scaled_to() -> None:
    blueprint = small()
    support = Learner(blueprint.agent, "cpu", EAGER).built.returns["critic"].support
    assert len(support) == 101
    assert [support[0], support[-1]] == [-blueprint.normalization.reward.bound, blueprint.normalization.reward.bound]
    assert blueprint.networks["critic"].copies == 1
    assert small("networks.critic.copies=2").networks["critic"].copies == 2


def test_the_full_blueprint_has_the_published_sizes() -> None:
    blueprint = load(blueprints_root() / "dmc" / "simba_v2.toml").blueprint
    assert blueprint.outlines["critic"].output == (101,)
    for role, width, blocks in (("actor", 128, 1), ("critic", 512, 2)):
        plans = dict(blueprint.outlines[role].named_parameters())
        embed = next(plan for plan in plans.values() if len(plan.shape) == 2)
        assert embed.shape[0] == width
        assert sum(plan.shape == (4 * width, width) for plan in plans.values()) == blocks
        rate = blueprint.optimizers[role].learning_rate
        assert rate.bounds() == (5e-5, 1e-4)


@pytest.mark.slow
def test_a_run_resumes_exactly(tmp_path: Path) -> None:
    """Alone proves exact resume of SimbaV2's reward scale and unit-norm weights."""
    run, parts = assemble.start(small(), tmp_path / "whole", None)
    go_on(parts)
    run.close()
    halted = stopped(*assemble.start(small(), tmp_path / "halted", None), at=44)
    assert result(resumed(halted)) == result(run.path)
