"""Rollouts: judged by the networks that learn from them, each transition once an epoch, and stopped anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from tiny_rollouts import BOTH, CHOICES, NUMBERS, PICTURES, begin, collected, moved
from tiny_runs import go_on, result, resumed, rows, stopped
from torch import Tensor

from composer.replay.transitions import Minibatch
from composer.tracking.console import Console
from composer.training.collect.on_policy import Rollout, standardised
from composer.training.collect.simulation import SimulatorCollector
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints
from composer.training.session import Session

T, E, N = 8, 2, 16
RAW = "algorithm.normalize_advantages=false"
EVERYTHING = {"numbers": NUMBERS, "choices": CHOICES, "pictures": PICTURES}
ENDING = 'environment={ kind = "test/drift", copies = 2, limit = 3, edge = 0.5 }'


def epoch(memory: Rollout, minibatches: int = 2) -> list[Minibatch]:
    found = []
    for _ in range(minibatches):
        found.append(memory.draw())
        memory.learned()
    return found


def joined(batches: list[Minibatch], name: str) -> Tensor:
    return torch.cat([drawn.extra[name] for drawn in batches], 1)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_an_epoch_holds_each_transition_once_and_each_epoch_in_another_order(kind: str, tmp_path: Path) -> None:
    parts, memory = collected(tmp_path, *EVERYTHING[kind])
    order = torch.arange(N).expand(2, -1)
    whole = memory.ring.windows(memory._slots(order), 1, parts.learner.discount)
    following = parts.learner.normalised(whole.next_observation)
    memory.draw()
    memory._drawn = 0
    seen: list[Tensor] = []
    for _ in range(2):
        batches = epoch(memory)
        seen.append(torch.cat([memory._order], 1))
        for seed in range(2):
            assert sorted(memory._order[seed].tolist()) == list(range(N))
            for name in ("action", "reward"):
                got = torch.cat([getattr(drawn.transitions, name)[seed] for drawn in batches])
                assert torch.equal(got, getattr(whole, name)[seed][memory._order[seed]]), name
            got = torch.cat([drawn.transitions.next_observation[seed] for drawn in batches])
            assert torch.equal(got.float(), following[seed][memory._order[seed]])
    assert not torch.equal(*seen) and not torch.equal(seen[0][0], seen[0][1])
    parts.close()


@pytest.mark.parametrize("kind", EVERYTHING)
def test_what_comes_with_a_transition_is_of_the_policy_that_acted(kind: str, tmp_path: Path) -> None:
    """The first ratios are 1; densities stay those of the acting while the networks move on."""
    parts, memory = collected(tmp_path, *EVERYTHING[kind])
    program = memory._program
    batches = epoch(memory)
    for drawn in batches:
        batch = parts.learner.batch(drawn.transitions, drawn.extra, is_normalised=True)
        with torch.no_grad():
            ratio = (program.log_density(batch.observation, batch.action) - drawn.extra["log_density"]).exp()
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=2e-6)
            assert torch.equal(program.value(batch.observation), drawn.extra["value"])
    before, order = joined(batches, "log_density"), memory._order
    moved(parts.learner)
    later = epoch(memory)
    for seed in range(2):
        assert torch.equal(
            before[seed][order[seed].argsort()], joined(later, "log_density")[seed][memory._order[seed].argsort()]
        )
    assert memory._drawn == 0
    again = joined(epoch(memory), "log_density")
    assert torch.equal(again.sort().values, before.sort().values), "the densities of the draws, whoever learns"
    parts.close()


def density(parts: Session, memory: Rollout, statistics: list[dict[str, Tensor]]) -> Tensor:
    """Log-densities of the stored draws ``[S, T * E]`` under the statistics of each interaction, in float64 by hand."""
    rows = memory.ring.rows(0, N).transpose(0, 1).view(2, T, E, -1)
    found = []
    for t, held in enumerate(statistics):
        observation, action = rows[:, t, :, :3].double(), rows[:, t, :, 3:5].double()
        seen = (observation - held["mean"][:, None]) / (held["variance"] + 1e-8).sqrt()[:, None]
        mean, log_std = (part[:, 0].double() for part in parts.learner.networks["actor"](seen.float()))
        normal = torch.distributions.Normal(mean, log_std.exp())
        found.append(normal.log_prob(action).sum(-1))
    return torch.stack(found, 1).flatten(1)


def acted(parts: Session, interactions: int = T) -> list[dict[str, Tensor]]:
    """The statistics under which the policy acted, interaction by interaction."""
    held: list[dict[str, Tensor]] = []
    statistics = parts.learner.statistics
    assert statistics is not None
    for number in range(interactions):
        parts.collector.interact(number)
        held.append({name: value.clone() for name, value in statistics.tensors().items()})
    return held


def test_ratios_are_of_the_policy_that_acted_though_statistics_moved_on(tmp_path: Path) -> None:
    """Closed form: the density of a draw is the one under the statistics of its own interaction."""
    run, parts = begin(tmp_path, "algorithm.epochs=1", "algorithm.minibatches=1", "algorithm.batch_size=16")
    assert isinstance(parts.collector, SimulatorCollector) and isinstance(parts.collector.memory, Rollout)
    memory = parts.collector.memory
    statistics = acted(parts)
    expected = density(parts, memory, statistics)
    (drawn,) = epoch(memory, 1)
    torch.testing.assert_close(
        drawn.extra["log_density"].double(), expected.gather(1, memory._order), rtol=0, atol=1e-5
    )
    late = density(parts, memory, [statistics[-1]] * T)
    assert (late - expected).exp().sub(1).abs().max() > 0.01, "the statistics of the end give other ratios"
    parts.learner.learn([drawn])
    for signals in parts.learner.drain_signals():
        assert signals["actor/largest_ratio"] == pytest.approx(1.0, abs=1e-5)
        assert signals["actor/clipped"] == 0 and abs(signals["actor/kl"]) < 1e-9
    run.close()
    parts.close()


@pytest.mark.parametrize("change", ["actor", "statistics"])
def test_signals_show_a_policy_that_changed_between_acting_and_learning(change: str, tmp_path: Path) -> None:
    """A reset within a rollout changes the actor: ratios tell. Statistics that move on change no ratio."""
    run, parts = begin(tmp_path, "algorithm.epochs=1", "algorithm.minibatches=1", "algorithm.batch_size=16")
    acted(parts)
    if change == "actor":
        moved(parts.learner)
    else:
        parts.learner.observe(torch.full((2, 50, 3), 40.0))
    parts.learner.learn([parts.collector.batch()])
    for signals in parts.learner.drain_signals():
        assert (signals["actor/largest_ratio"] > 1.1) == (change == "actor")
    run.close()
    parts.close()


def test_advantages_are_those_of_the_episodes_as_they_went(tmp_path: Path) -> None:
    """Over rows as they were stored, with terminations and truncations, from the last to the first."""
    parts, memory = collected(tmp_path, RAW, ENDING)
    learner, program = parts.learner, memory._program
    stored = memory.ring.rows(0, N).transpose(0, 1).view(2, T, E, -1)
    _, _, reward, terminated, ended, final = stored.split([3, 2, 1, 1, 1, 3], -1)
    assert terminated.any() and (ended > terminated).any()
    with torch.no_grad():
        value = program.value(memory._kept["seen"].view(2, N, 3)).view(2, T, E)
        following = program.value(learner.normalised(final.flatten(1, 2))).view(2, T, E)
    following[:, :-1] = torch.where(ended[:, :-1, :, 0] > 0, following[:, :-1], value[:, 1:])
    expected = torch.zeros(2, T + 1, E)
    for t in reversed(range(T)):
        going, last = 1 - terminated[:, t, :, 0], 1 - ended[:, t, :, 0]
        delta = reward[:, t, :, 0] + 0.9 * going * following[:, t] - value[:, t]
        expected[:, t] = delta + 0.9 * 0.8 * last * expected[:, t + 1]
    batches = epoch(memory)
    back = memory._order.argsort(1)
    advantage = joined(batches, "advantage").gather(1, back).view(2, T, E)
    torch.testing.assert_close(advantage, expected[:, :T], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(joined(batches, "return").gather(1, back).view(2, T, E), expected[:, :T] + value)
    parts.close()


def test_advantages_are_normalised_a_minibatch_and_a_seed(tmp_path: Path) -> None:
    parts, memory = collected(tmp_path)
    for drawn in epoch(memory):
        advantage = drawn.extra["advantage"]
        torch.testing.assert_close(advantage.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
        torch.testing.assert_close(advantage.std(1, correction=0), torch.ones(2))
    assert torch.equal(standardised(torch.full((2, 3), 7.0)), torch.zeros(2, 3))
    parts.close()


def test_rewards_are_scaled_where_that_is_declared(tmp_path: Path) -> None:
    """All rewards of a rollout by the scale of its end."""
    told = "normalization.reward={ kind = 'return_scale' }"
    parts, memory = collected(tmp_path, RAW, told, "algorithm.gae_lambda=0", "algorithm.discount=0")
    assert parts.learner.rewards is not None
    scale = parts.learner.rewards.scale()
    assert (scale != 1).all()
    for drawn in epoch(memory):
        torch.testing.assert_close(drawn.extra["return"], drawn.transitions.reward * scale[:, None])
    parts.close()


def test_environments_are_given_actions_within_their_box_and_draws_are_stored(tmp_path: Path) -> None:
    parts, memory = collected(tmp_path, "networks.actor.head.initial_log_std=1.0")
    assert (memory.ring.rows(0, N)[..., 3:5].abs() > 1).any()
    played = parts.collector.snapshot().tensors["environment/actions"]
    assert played.abs().max() == 1
    parts.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run of a kind that nothing disturbs."""

    @cache
    def run(kind: str) -> Path:
        opened, parts = begin(tmp_path_factory.mktemp(kind), *EVERYTHING[kind])
        go_on(parts)
        opened.close()
        return opened.path

    return run


MOMENTS = [("numbers", 2), ("numbers", 14), ("numbers", 16), ("numbers", 90), ("choices", 10), ("pictures", 58)]


@pytest.mark.parametrize(("kind", "at"), MOMENTS)
def test_stopped_within_a_rollout_and_resumed_is_as_if_never_stopped(
    kind: str, at: int, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    """At the first interaction, within the first rollout, at its end, after it, within a later one."""
    run = stopped(*begin(tmp_path, *EVERYTHING[kind]), at=at)
    assert result(resumed(run)) == result(whole(kind))


class Died(BaseException):
    """In the place of SIGKILL, inside this process: nothing after it is done."""


@pytest.mark.parametrize(("method", "number"), [("learned", 15), ("draw", 14), ("add", 22)])
def test_killed_among_the_updates_of_a_rollout(
    method: str, number: int, whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on from a checkpoint in the middle of a rollout, and makes the same updates again."""
    killed, doomed = begin(tmp_path)
    calls, real = 0, getattr(Rollout, method)

    def die(*arguments: Tensor) -> object:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Died
        return real(*arguments)

    monkeypatch.setattr(Rollout, method, die)
    with pytest.raises(Died):
        train(doomed, Console(1, enabled=False))
    monkeypatch.undo()
    os.close(doomed.journal._file)
    os.close(doomed.timing._file)
    killed.close()
    (step,) = Checkpoints(killed.path).steps()
    assert step // E % T, "a checkpoint within a rollout"
    assert result(resumed(killed.path)) == result(whole("numbers"))


def test_a_run_reports_what_it_learns(tmp_path: Path) -> None:
    run, parts = begin(tmp_path)
    go_on(parts)
    run.close()
    metrics = {name for row in rows(run.path) if row["type"] == "metrics" for name in row["metrics"]}
    assert metrics >= {
        *("actor/loss", "actor/entropy", "actor/kl", "actor/clipped"),
        *("critic/loss", "critic/value", "critic/explained_variance", "training/return", "evaluation/return"),
        "diagnostics/policy/churn.v1",
    }
    assert parts.clock.updates == 7 * 4
    assert parts.learner.updates.tolist() == [28.0, 28.0]
    assert isinstance(parts.collector, SimulatorCollector)
    # A ring of one rollout: what is saved of it does not grow.
    assert parts.collector.replay.size == N


@pytest.mark.parametrize("kind", BOTH)
def test_a_seed_among_others_runs_as_it_would_alone(kind: str, tmp_path: Path) -> None:
    both, one = begin(tmp_path / "both", *BOTH[kind]), begin(tmp_path / "one", "seeds=[5]", *BOTH[kind])
    for run, parts in (both, one):
        go_on(parts)
        run.close()
    together, alone = both[1].learner.tensors(), one[1].learner.tensors()
    for name, value in alone.items():
        if name != "signals":
            torch.testing.assert_close(
                value[0], together[name][1], rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_minibatches_of_several_updates_a_call_are_those_of_single_calls(tmp_path: Path) -> None:
    states = []
    for count in (1, 2, 4):
        run, parts = begin(tmp_path, f"compute.updates_per_call={count}")
        go_on(parts)
        states.append({name: value.clone() for name, value in parts.learner.tensors().items()})
        run.close()
    for state in states[1:]:
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())
