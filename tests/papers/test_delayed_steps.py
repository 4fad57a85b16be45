"""Steps that count each k-th update only: the skipped ones leave no trace, the others are steps of plain training."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from dispatched import Graphs
from tiny_deterministic import RAW, batch, learner, state
from tiny_runs import EAGER
from torch import Tensor

from composer.optim.delayed import apply_every
from composer.training.compile.capture import Choice

DELAY = "algorithm.policy_delay={}"
SAM = (
    "optimizers.actor={ kind = 'sam', rho = 0.05, base = { kind = 'adamw', learning_rate = 1e-3, weight_decay = 0.1 } }"
)
NOISY = (
    "networks.actor.trunk=[{ kind = 'batch_norm' }, { kind = 'linear', width = 8 }, { kind = 'dropout', rate = 0.5 }]"
)
SPHERE = "networks.actor.trunk=[{ kind = 'linear', width = 8, unit_norm = 'rows', bias = false }, { kind = 'relu' }]"


def of_actor(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if name.startswith(("networks/actor/", "optimizers/actor/"))}


@pytest.mark.parametrize("options", [(), (SAM,), (NOISY,), (SPHERE,), ("optimizers.actor={ kind = 'upgd' }",)])
def test_a_skipped_step_leaves_parameters_moments_counts_buffers_and_streams(options: tuple[str, ...]) -> None:
    agent = learner(*options, DELAY.format(3), "seeds=[0, 1]")
    for number in range(1, 8):
        before = state(agent)
        agent.update(batch(2, number))
        now = state(agent)
        for name, value in of_actor(now).items():
            if number % 3:
                assert torch.equal(value, before[name]), (number, name)
        changed = [name for name, value in of_actor(now).items() if not torch.equal(value, before[name])]
        assert bool(changed) == (number % 3 == 0)
        assert not torch.equal(now["networks/critic/head.linear.weight"], before["networks/critic/head.linear.weight"])
    assert now["optimizers/actor/clock"].tolist() == [2.0, 2.0]
    assert now["optimizers/critic/clock"].tolist() == [7.0, 7.0]


def test_a_step_that_is_taken_is_that_of_plain_training() -> None:
    """With critic and targets at rest, ten updates at a delay of 5 are two updates without, on the same batches."""
    still = (
        "optimizers.critic.learning_rate=1e-30",
        "averages.target_critic.momentum=1",
        "averages.target_actor.momentum=1",
    )
    late, plain = learner(RAW, *still, DELAY.format(5)), learner(RAW, *still, DELAY.format(1))
    for number in range(1, 11):
        data = batch(1, number)
        late.update(data)
        if number % 5 == 0:
            plain.update(data)
    theirs = of_actor(state(plain))
    for name, value in of_actor(state(late)).items():
        assert torch.equal(value, theirs[name]), name


def test_each_seed_keeps_time_by_its_own_count() -> None:
    values = torch.zeros(2, 3, 4)
    counts = torch.zeros(2, dtype=torch.int64)
    updates, every = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.tensor([2.0, 4.0], dtype=torch.float64)

    def step() -> None:
        values.add_(1)
        counts.add_(1)

    for _ in range(8):
        apply_every(step, [values, counts], every, updates)
        updates.add_(1)
    assert counts.tolist() == [4, 2]
    assert values[:, 0, 0].tolist() == [4.0, 2.0]


def test_targets_move_with_the_actors_steps_in_td3() -> None:
    agent = learner("seeds=[0, 1]")
    for number in range(1, 6):
        before = state(agent)
        agent.update(batch(2, number))
        now = state(agent)
        for name, value in now.items():
            if name.startswith("averages/"):
                online = now[name.replace("averages/target_", "networks/")]
                want = before[name] if number % 2 else torch.lerp(before[name], online, 1 - 0.9)
                torch.testing.assert_close(value, want, rtol=1e-6, atol=1e-7, msg=name)
                assert torch.equal(value, before[name]) == bool(number % 2), name


def test_a_seed_that_diverges_does_not_end_in_its_neighbours_delay() -> None:
    agent, same = learner("seeds=[0, 1]"), learner("seeds=[0, 1]")
    data = batch(2)
    spoilt = data._replace(reward=data.reward.clone())
    spoilt.reward[1] = torch.inf
    for _ in range(4):
        agent.update(spoilt)
        same.update(data)
    assert not torch.isfinite(agent.tensors()["networks/critic/head.linear.weight"][1]).all()
    for name, value in agent.tensors().items():
        if name != "signals":
            assert torch.equal(value[0], same.tensors()[name][0]), name


@pytest.mark.slow
def test_compiled_and_eager_updates_agree_and_variants_share_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces delays, periodic targets, smoothing and scaled rewards into one graph, whose numbers may change."""
    graphs = Graphs(monkeypatch)
    others = (DELAY.format(3), "algorithm.target_noise={ std = 0.1, clip = 0.2 }", "normalization.reward.bound=2.0")
    others += ("averages.target_critic.momentum={ kind = 'periodic', every = 4, at = 0.5 }",)
    for changes in ((), others):
        agents = [learner("seeds=[0, 1]", *changes, choice=choice) for choice in (Choice(True, "a test"), EAGER)]
        for step in range(7):
            for agent in agents:
                assert agent.rewards is not None
                no = torch.zeros(2, 1, dtype=torch.bool)
                agent.rewards.observe(torch.full((2, 1), 3.0 * step), no, no)
                agent.update(batch(2, step))
        theirs = agents[1].tensors()
        for name, value in agents[0].tensors().items():
            torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4, msg=name)
    assert len(set(graphs.graphs)) == 1  # Each learner traces its own, and both trace the same.


def test_a_program_may_delay_any_objective() -> None:
    """Nothing of it knows an algorithm: here the critic waits."""
    agent = learner("seeds=[0, 1]")
    every = torch.full((2,), 4.0, dtype=torch.float64)
    agent.program.objectives = tuple(
        each._replace(every=every if each.role == "critic" else None) for each in agent.program.objectives
    )
    first = state(agent)
    for number in range(3):
        agent.update(batch(2, number))
    now = state(agent)
    assert torch.equal(now["networks/critic/head.linear.weight"], first["networks/critic/head.linear.weight"])
    assert not torch.equal(now["networks/actor/head.linear.weight"], first["networks/actor/head.linear.weight"])
