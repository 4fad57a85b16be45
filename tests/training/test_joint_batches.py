"""CrossQ, XQC, FlashSAC and BRC keep the contracts: seeds to themselves, compiled as eager, resumed exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from dispatched import NoHost, captured_without_code
from tiny_agents import blueprint_of
from tiny_runs import EAGER, go_on, result, resumed, stopped, transitions

from composer.blueprint import Blueprint, load
from composer.replay.transitions import Transitions
from composer.spec.package_files import blueprints_root
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

SHORT = (
    *("algorithm.warmup_interactions=30", "algorithm.update_to_data=1", "training.env_steps=60", "replay.capacity=60"),
    *("training.log_every=20", "evaluation.every=60", "evaluation.episodes=1", "checkpoint.every=20"),
    *("networks.actor.trunk.width=8", "networks.critic.trunk.width=8", "algorithm.batch_size=32"),
    *('environment={ kind = "test/drift" }', 'tracking={ kind = "none" }', "compute.threads=1", "seeds=[0, 5]"),
)
SOON = ("networks.actor.trunk.warm_up=2", "networks.critic.trunk.warm_up=3")
"""Batch renorm corrects within a few updates."""
AGENTS = {
    "crossq": SOON,
    "xqc": (),
    "crossq with a target": (*SOON, 'averages.target_critic={ of="critic", momentum=0.9 }'),
}


def blueprint(agent: str, *overrides: str) -> Blueprint:
    path = blueprints_root() / "dmc" / f"{agent.split()[0]}.toml"
    return load(path, [*SHORT, *AGENTS[agent], *overrides]).blueprint


@pytest.mark.parametrize("agent", AGENTS)
def test_stacked_seeds_are_those_of_each_alone_and_wait_for_nothing(agent: str) -> None:
    both = Learner(blueprint(agent).agent, "cpu", EAGER)
    alone = [Learner(blueprint(agent, f"seeds=[{seed}]").agent, "cpu", EAGER) for seed in both.seeds]
    for step in range(5):
        batch = transitions(both, step)
        with NoHost():
            both.update(batch)
        for place, learner in enumerate(alone):
            learner.update(Transitions(*(value[place : place + 1] for value in batch)))
    for place, learner in enumerate(alone):
        state = {name: value for name, value in learner.tensors().items() if name != "signals"}
        for name, value in state.items():
            torch.testing.assert_close(both.tensors()[name][place : place + 1], value, rtol=2e-4, atol=2e-5, msg=name)


@pytest.mark.slow
def test_compiled_updates_are_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces joint batches, targets whose statistics are put back, and delays of the optimizer alone."""
    captured_without_code(monkeypatch)
    trunk = "networks.{}.trunk={{ use='crossq', width=8, depth=1, warm_up=2 }}"
    found = blueprint("xqc", trunk.format("actor"), trunk.format("critic"), "algorithm.joint_actor=true").agent
    compiled, eager = (Learner(found, "cpu", Choice(each, "a test")) for each in (True, False))
    for step in range(5):
        for learner in (compiled, eager):
            learner.update(transitions(learner, step))
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-4, atol=2e-5, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flash_sac", "brc"])
def test_compiled_updates_of_later_critics_are_eager_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces norms over gains and shifts, steps that follow a first one, and embeddings that critics train."""
    captured_without_code(monkeypatch)
    found = blueprint_of(name).agent
    compiled, eager = (Learner(found, "cpu", Choice(each, "a test")) for each in (True, False))
    for step in range(3):
        for learner in (compiled, eager):
            learner.update(observed(found.info.observation[0], learner, step))
    for key, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[key], rtol=2e-4, atol=2e-5, msg=key)


def observed(size: int, learner: Learner, step: int) -> Transitions:
    """Random transitions with observations of this size; of tasks, one is marked at the end."""
    drawn, more = (transitions(learner, step + shift) for shift in (0, 50))
    parts = [torch.cat([one, other], -1)[:, :, :size] for one, other in zip(drawn[0::4], more[0::4], strict=True)]
    if size > 3:
        for part in parts:
            part[..., -2:] = torch.eye(2)[torch.arange(part.shape[1]) % 2]
    rows = [value[:, : learner.batch_size] for value in (parts[0], *drawn[1:4], parts[1])]
    return Transitions(*rows)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["crossq", "xqc"])
def test_a_run_resumes_exactly(agent: str, tmp_path: Path) -> None:
    """Alone kills runs whose statistics, counters of batch renorm and delays are part of the state."""
    run, session = assemble.start(blueprint(agent), tmp_path / "whole", None)
    go_on(session)
    run.close()
    halted = stopped(*assemble.start(blueprint(agent), tmp_path / "halted", None), at=44)
    assert result(resumed(halted)) == result(run.path)
