"""The learner's contract: seeds keep to themselves, one program, no host in the loop, everything in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_dqn
import torch
from dispatched import Graphs, NoHost
from tiny_runs import finished, learner, transitions
from torch import Tensor

from composer.replay.transitions import Minibatch
from composer.replay.vectors import VectorRing
from composer.training.compile.capture import Choice
from composer.training.compile.first_call import CompileFailed
from composer.training.divergence import Diverged, ensure_finite
from composer.training.learner import Learner

COMPILED = Choice(True, "a test")


def state(agent: Learner) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in agent.tensors().items()}


def agree(agent: Learner, other: Learner, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Every tensor of the state is the same to rounding."""
    theirs = other.tensors()
    for name, value in agent.tensors().items():
        torch.testing.assert_close(value, theirs[name], rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


def test_seeds_in_one_program_are_the_same_as_alone(tmp_path: Path) -> None:
    """Through the real loop: environments, replay, statistics, exploration, 60 updates of a clipped double critic."""
    short = ["training.env_steps=880", "evaluation.every=880", "evaluation.episodes=1", "checkpoint.every=880"]
    _, together = finished(tmp_path, *short, "seeds=[0, 1, 2]")
    assert together.clock.updates == 60
    for index, seed in enumerate([0, 1, 2]):
        _, alone = finished(tmp_path, *short, f"seeds=[{seed}]")
        rows = alone.collector.replay.rows(10, 110)
        torch.testing.assert_close(together.collector.replay.rows(10, 110)[:, index], rows[:, 0], rtol=1e-4, atol=1e-4)
        ours = together.learner.tensors()
        for name, value in alone.learner.tensors().items():
            got = ours[name][:, index] if name == "signals" else ours[name][index]
            expected = value[:, 0] if name == "signals" else value[0]
            torch.testing.assert_close(
                got, expected, rtol=1e-4, atol=1e-5, msg=lambda m, n=name, s=seed: f"seed {s}, {n}: {m}"
            )
        for stream, generator in alone.learner.generators().items():
            assert torch.equal(generator.get_state(), together.learner.generators()[stream].get_state()), stream
        assert together.returns[index] == pytest.approx(alone.returns[0], rel=1e-3)


def test_first_weights_are_a_seeds_own_bit_by_bit() -> None:
    together = learner("seeds=[5, 6, 7]").tensors()
    for index, seed in enumerate([5, 6, 7]):
        for name, value in learner(f"seeds=[{seed}]").tensors().items():
            if name.startswith(("networks/", "averages/")):
                assert torch.equal(together[name][index], value[0]), name
    critic = together["networks/critic/trunk.0.weight"]
    members = [critic[s, c] for s in range(3) for c in range(2)]
    assert not any(torch.equal(a, b) for i, a in enumerate(members) for b in members[:i])


def test_following_observations_are_normalised_as_the_first_ones() -> None:
    agent = learner("seeds=[0, 1]")
    data = transitions(agent)
    assert agent.statistics is not None
    agent.observe(data.observation)
    future = torch.stack([data.observation, data.next_observation, data.observation], 2)
    batch = agent.batch(data, {"future/observation": future})
    seen = batch.extra["future/observation"]
    torch.testing.assert_close(seen.unbind(2), (batch.observation, batch.next_observation, batch.observation))
    assert not torch.allclose(seen[:, :, 0], data.observation)


def test_extras_and_noise_reach_the_program_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prioritised samples with weights, noisy layers: the update is one function of tensors in order."""
    agent = tiny_dqn.learner(*tiny_dqn.RAINBOW)
    transitions, extra = tiny_dqn.batch(agent, 0)
    seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    step = agent._gradient_step.step

    def watched(objective: Any, batch: Any, noise: Any, signals: Any) -> Any:
        seen.append((dict(batch.extra), dict(noise)))
        return step(objective, batch, noise, signals)

    monkeypatch.setattr(agent._gradient_step, "step", watched)
    agent.update(transitions, extra)
    assert seen and set(agent.program.extras) == set(seen[0][0]) and set(agent.program.noise) == set(seen[0][1])
    for name in agent.program.extras:
        assert torch.equal(seen[0][0][name], extra[name]), name


def test_a_call_makes_as_many_updates_as_were_captured() -> None:
    agent = learner("seeds=[0, 1]")
    with pytest.raises(ValueError, match="a call makes 1 update"):
        agent.learn([Minibatch(transitions(agent))] * 2)


def test_an_update_that_cannot_be_compiled_is_made_all_the_same() -> None:
    """Eagerly, once, with the same numbers; the run is told why."""
    agent, plain = learner("seeds=[0, 1]"), learner("seeds=[0, 1]")
    told: list[str] = []

    def fail(*tensors: Tensor) -> None:
        raise CompileFailed("there is no compiler")

    agent.choice = Choice(True, "a test", falls_back=True)
    agent.captured = [fail] * len(agent.captured)
    agent.compile_failed = told.append
    for each in (agent, plain):
        each.update(transitions(each))
    assert told == ["there is no compiler"]
    for name, value in plain.tensors().items():
        assert torch.equal(agent.tensors()[name], value), name


def test_a_seed_that_diverges_leaves_its_neighbours_alone() -> None:
    agent, same = learner("seeds=[0, 1]"), learner("seeds=[0, 1]")
    data = transitions(agent)
    spoilt = data._replace(reward=data.reward.clone())
    spoilt.reward[1] = torch.inf
    for _ in range(3):
        same.update(data)
        agent.update(spoilt)
    assert not torch.isfinite(agent.tensors()["networks/critic/head.linear.weight"][1]).all()
    for name, value in agent.tensors().items():
        if name != "signals":
            assert torch.equal(value[0], same.tensors()[name][0]), name


@pytest.mark.slow
def test_one_graph_serves_all_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that nothing that happens between updates needs a new graph."""
    counter = Graphs(monkeypatch)
    schedule = "optimizers.actor.learning_rate={ kind = 'linear', start = 1e-3, end = 1e-4, updates = 100 }"
    agent = learner(schedule, "seeds=[0, 1]", choice=COMPILED)
    twin = learner(schedule, "seeds=[0, 1]")
    for step in range(3):
        for one in (agent, twin):
            one.update(transitions(one, step))
    # What is done to an agent between updates: weights moved, moments zeroed, counters set, statistics grown.
    with torch.no_grad():
        for one in (agent, twin):
            for name, value in one.tensors().items():
                value.lerp_(torch.zeros_like(value), 0.3) if name.startswith("networks/") else None
                value.zero_() if "first." in name else None
            one.updates.add_(50)
            one.observe(torch.ones(2, 4, 3))
            one.discount.mul_(0.9)
    for step in range(3, 6):
        for one in (agent, twin):
            one.update(transitions(one, step))
    assert len(set(counter.graphs)) == 1
    agree(agent, twin)


@pytest.mark.slow
def test_variants_that_differ_in_numbers_share_one_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that hyperparameters are inputs of the graph, not constants in it."""
    counter = Graphs(monkeypatch)
    others = ["optimizers.critic={ kind = 'adamw', learning_rate = 7e-4, weight_decay = 3e-2, beta2 = 0.99 }"]
    others += ["averages.target_critic.momentum=0.9", "algorithm.initial_temperature=0.7", "seeds=[3]"]
    others += ["algorithm.target_entropy_per_action=-2.0"]
    for changes in ([], others):
        agent, twin = learner(*changes, choice=COMPILED), learner(*changes)
        for step in range(2):
            agent.update(transitions(agent, step))
            twin.update(transitions(agent, step))
        # Nothing of the first agent has stayed in the graph that the second one uses.
        agree(agent, twin)
    assert len(set(counter.graphs)) == 1


def test_neither_acting_nor_learning_waits_for_the_host() -> None:
    agent = learner("seeds=[0, 1]", "algorithm.n_step=3")
    ring = VectorRing(2, 1, 50, 3, 2)
    flags = torch.zeros(2, 1, dtype=torch.bool)
    with NoHost():
        for _ in range(60):
            observation = torch.randn(2, 1, 3)
            agent.observe(observation)
            action = agent.act(observation)
            ring.add(observation, action, torch.zeros(2, 1), flags, flags, observation)
        agent.update(ring.sample(32, 3, agent.discount, agent.replay_generators))
        with pytest.raises(AssertionError, match="makes the host wait"):
            agent.updates[0].item()


def test_every_use_of_randomness_has_a_stream_of_its_own() -> None:
    """Acting more, learning more or sampling more shifts none of the others."""
    agent = learner("seeds=[0, 1]")
    ring = VectorRing(2, 1, 50, 3, 2)
    ring.restore(0, torch.zeros(50, 2, 11))
    uses: dict[str, Callable[[], object]] = {
        "explore": lambda: (agent.act(torch.zeros(2, 4, 3)), agent.act_randomly(3)),
        "learn": lambda: agent.update(transitions(agent)),
        "replay": lambda: ring.sample(8, 1, agent.discount, agent.replay_generators),
        "": lambda: (agent.act(torch.zeros(2, 4, 3), explore=False), agent.drain_signals(), torch.rand(3)),
    }
    for stream, use in uses.items():
        before = {name: generator.get_state() for name, generator in agent.generators().items()}
        use()
        after = {name: generator.get_state() for name, generator in agent.generators().items()}
        moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert moved == ({f"{stream}/0", f"{stream}/1"} if stream else set())
    states = [tuple(generator.get_state().tolist()) for generator in learner("seeds=[0, 1]").generators().values()]
    assert len(set(states)) == 6


def test_updates_keep_every_address_and_states_share_none() -> None:
    agent = learner("seeds=[0, 1]")
    before = {name: (value.data_ptr(), value.shape, value.dtype) for name, value in agent.tensors().items()}
    agent.observe(torch.randn(2, 3, 3))
    agent.act(torch.randn(2, 3, 3))
    agent.update(transitions(agent))
    agent.drain_signals()
    agent.load(state(agent))
    assert {name: (value.data_ptr(), value.shape, value.dtype) for name, value in agent.tensors().items()} == before
    owners: dict[int, str] = {}
    for name, value in agent.tensors().items():
        place = value.untyped_storage().data_ptr()
        assert place not in owners, f"{name} and {owners.get(place)} share storage"
        owners[place] = name


def test_an_update_moves_every_gradient_trained_and_averaged_tensor() -> None:
    agent = learner("seeds=[0, 1]")
    before = state(agent)
    for step in range(3):
        agent.update(transitions(agent, step))
    for name, value in agent.tensors().items():
        moved = any(not torch.equal(value[s], before[name][s]) for s in range(len(value)))
        assert moved != name.startswith("normalization/"), name


def test_loading_restores_everything_and_refuses_another_agents_state() -> None:
    agent, other = learner(), learner("seeds=[9]")
    for step in range(3):
        agent.update(transitions(agent, step))
    saved = state(agent)
    other.load(saved)
    assert all(torch.equal(value, saved[name]) for name, value in other.tensors().items())
    with pytest.raises(KeyError):
        other.load({name: value for name, value in saved.items() if "second" not in name})
    with pytest.raises(RuntimeError):
        learner("networks.critic.trunk={ use = 'simba', width = 8, blocks = 1 }").load(saved)


def test_signals_are_means_since_the_last_call_by_seed() -> None:
    agent = learner("seeds=[0, 1]")
    single = learner("seeds=[0, 1]")
    assert agent.drain_signals() == [{}, {}]
    expected: list[list[dict[str, float]]] = []
    for step in range(4):
        for one in (agent, single):
            one.update(transitions(one, step))
        expected.append(single.drain_signals())
    got = agent.drain_signals()
    for seed in range(2):
        assert set(got[seed]) == set(agent.program.signals)
        for name, value in got[seed].items():
            assert value == pytest.approx(sum(row[seed][name] for row in expected) / 4, rel=1e-5), name
    assert got[0] != got[1]
    assert agent.drain_signals() == [{}, {}]


def test_a_number_that_is_not_finite_is_named() -> None:
    agent = learner("seeds=[0, 1]")
    ensure_finite(agent.tensors(), agent.seeds)
    agent.tensors()["optimizers/critic/second.head.linear.bias"][1, 0] = torch.nan
    with pytest.raises(Diverged, match=r"optimizers/critic/second\.head\.linear\.bias"):
        ensure_finite(agent.tensors(), agent.seeds)


def test_random_actions_fill_the_box_and_follow_the_seed() -> None:
    agent = learner("seeds=[0, 1]")
    actions = agent.act_randomly(2_000)
    assert actions.shape == (2, 2_000, 2)
    assert actions.abs().max() <= 1
    for edge in (actions.amin((1, 2)), -actions.amax((1, 2))):
        assert (edge < -0.99).all()
    torch.testing.assert_close(actions.mean((1, 2)), torch.zeros(2), rtol=0, atol=0.05)
    assert torch.equal(learner("seeds=[1]").act_randomly(2_000)[0], actions[1])
