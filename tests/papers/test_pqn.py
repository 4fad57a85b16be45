"""Q(lambda) without a replay, arXiv:2407.04811: returns, loss, exploration, order of events, written out again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_rollouts import Choices
from tiny_runs import EAGER, go_on, result, resumed, rows, stopped
from torch import Tensor

from composer.blueprint import load
from composer.training import assemble
from composer.training.collect.on_policy import Rollout
from composer.training.collect.simulation import SimulatorCollector
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.runs.directory import Run
from composer.training.session import Session

S, T, E, N, A = 2, 8, 2, 16, 3
DISCOUNT, LAMBDA, FACTOR = 0.9, 0.65, 0.5
TINY = Path(__file__).parents[1] / "tiny_pqn.toml"
assert Choices.kind == "test/choice"  # Its module registers the environment.


def begin(runs: Path, *overrides: str) -> tuple[Run, Session]:
    return assemble.start(load(TINY, overrides).blueprint, runs, None)


def collected(runs: Path, *overrides: str) -> tuple[Session, Rollout]:
    """A run that has filled its first rollout and not learned."""
    run, parts = begin(runs, *overrides)
    for number in range(T):
        parts.collector.interact(number)
    run.close()
    assert isinstance(parts.collector, SimulatorCollector) and isinstance(parts.collector.memory, Rollout)
    return parts, parts.collector.memory


def epoch(memory: Rollout) -> tuple[Tensor, Tensor]:
    """Returns of a pass ``[S, T, E]`` in order of arrival, and the order in which they were drawn."""
    drawn = torch.cat([memory.draw().extra["return"] for _ in range(2)], 1)
    return drawn.gather(1, memory._order.argsort(1)).view(S, T, E), memory._order


def mixed(reward: list[float], following: list[float], terminated: list[bool], ended: list[bool], start: int) -> float:
    """The lambda-weighted sum of all n-step returns from ``start``; the longest one has the weight that is left."""
    total, summed, weight, factor = 0.0, 0.0, 1.0, 1.0
    for t in range(start, T):
        summed += factor * reward[t]
        factor *= DISCOUNT
        bootstrapped = summed + (0.0 if terminated[t] else factor * following[t])
        if ended[t] or t == T - 1:
            return total + weight * bootstrapped
        total, weight = total + weight * (1 - LAMBDA) * bootstrapped, weight * LAMBDA
    raise AssertionError("a rollout ends")


def test_returns_are_lambda_weighted_sums_of_n_step_returns_with_the_weights_that_acted(tmp_path: Path) -> None:
    """Terminated, truncated and cut by the rollout's end; the second epoch teaches the same, whatever has moved."""
    parts, memory = collected(tmp_path)
    learner = parts.learner
    stored = memory.ring.rows(0, N).transpose(0, 1).view(S, T, E, -1)
    _, _, reward, terminated, ended, final = stored.split([3, A, 1, 1, 1, 3], -1)
    assert terminated.any() and (ended > terminated).any() and not ended[:, -1].all()

    def best(seen: Tensor) -> Tensor:
        return learner.networks["value"](seen)[:, 0].double().amax(-1)

    with torch.no_grad():
        value = best(memory._kept["seen"].view(S, N, 3)).view(S, T, E)
        following = best(learner.normalised(final.flatten(1, 2))).view(S, T, E)
    following[:, :-1] = torch.where(ended[:, :-1, :, 0] > 0, following[:, :-1], value[:, 1:])
    expected = torch.zeros(S, T, E)
    for s in range(S):
        for e in range(E):
            columns = (FACTOR * reward[s, :, e, 0].double()).tolist(), following[s, :, e].tolist()
            ends = (terminated[s, :, e, 0] > 0).tolist(), (ended[s, :, e, 0] > 0).tolist()
            expected[s, :, e] = torch.tensor([mixed(*columns, *ends, t) for t in range(T)])
    first, order = epoch(memory)
    torch.testing.assert_close(first, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        for parameter in learner.networks["value"].parameters.values():
            parameter.add_(1.0)
    again, reordered = epoch(memory)
    assert torch.equal(again, first) and not torch.equal(order, reordered)
    parts.close()


def test_the_loss_is_half_of_the_mean_squared_error_and_so_is_its_gradient(tmp_path: Path) -> None:
    parts, memory = collected(tmp_path)
    drawn = memory.draw()
    batch = parts.learner.batch(drawn.transitions, drawn.extra, is_normalised=True)
    signals: dict[str, Tensor] = {}
    network = parts.learner.networks["value"]
    loss = parts.learner.program.objectives[0].loss(batch, {}, signals)
    (bias,) = [value for path, value in network.parameters.items() if path == "head.linear.bias"]
    (gradient,) = torch.autograd.grad(loss.sum(), [bias])
    with torch.no_grad():
        values = network(batch.observation)[:, 0].double()
    for s in range(S):
        squares, slopes = [], [0.0] * A
        for b in range(8):
            action = int(batch.action[s, b].argmax())
            error = float(values[s, b, action]) - float(drawn.extra["return"][s, b])
            squares.append(error**2)
            slopes[action] += error / 8
        assert loss[s].item() == pytest.approx(0.5 * sum(squares) / 8, rel=1e-5)
        assert gradient[s, 0].tolist() == pytest.approx(slopes, rel=1e-4, abs=1e-6)
    assert signals["value/return"].tolist() == pytest.approx(drawn.extra["return"].mean(1).tolist(), rel=1e-6)
    parts.close()


@pytest.mark.parametrize(("updates", "epsilon"), [(0, 1.0), (8, 0.6), (40, 0.2)])
def test_actions_are_random_as_often_as_the_schedule_over_updates_says(updates: int, epsilon: float) -> None:
    agent, count = learner(), 20_000
    agent.updates.fill_(updates)
    observation = torch.randn(1, 1, 3, generator=torch.Generator().manual_seed(1)).expand(S, count, 3)
    greedy = agent.program.act(observation[:, :1], None)
    noise = torch.randn(S, count, 2, generator=torch.Generator().manual_seed(0))
    same = (agent.program.act(observation, noise) * greedy).sum(-1).mean(1)
    torch.testing.assert_close(same, torch.full((S,), 1 - epsilon * (A - 1) / A), rtol=0, atol=0.015)
    evaluated = (agent.program.evaluate(observation, noise) * greedy).sum(-1).mean(1)
    torch.testing.assert_close(evaluated, torch.full((S,), 1 - 0.1 * (A - 1) / A), rtol=0, atol=0.015)


def test_the_order_of_the_first_rollouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight actions, four updates, eight actions: each rollout acts with one set of weights and one epsilon."""
    events: list[str] = []
    run, parts = begin(tmp_path, "training.env_steps=32")
    acted, learned = Rollout.act, Learner.learn
    monkeypatch.setattr(
        Rollout, "act", lambda self, seen: (events.append(f"act {int(parts.learner.updates[0])}"), acted(self, seen))[1]
    )
    monkeypatch.setattr(
        Learner, "learn", lambda self, batches: (events.append(f"learn {len(batches)}"), learned(self, batches))[1]
    )
    go_on(parts)
    run.close()
    assert events == [*["act 0"] * T, *["learn 1"] * 4, *["act 4"] * T, *["learn 1"] * 4]
    names = {name for row in rows(run.path) if row["type"] == "metrics" for name in row["metrics"]}
    assert names >= {"value/loss", "value/value", "value/return", "training/return", "evaluation/return"}


def test_stopped_within_a_rollout_and_resumed_is_as_if_never_stopped(tmp_path: Path) -> None:
    """And a seed among others runs as it would alone."""
    run, whole = begin(tmp_path / "whole")
    go_on(whole)
    run.close()
    half = stopped(*begin(tmp_path / "half"), at=58)
    assert result(resumed(half)) == result(run.path)
    one, alone = begin(tmp_path / "one", "seeds=[5]")
    go_on(alone)
    one.close()
    together = whole.learner.tensors()
    for name, value in alone.learner.tensors().items():
        if name != "signals":
            torch.testing.assert_close(value[0], together[name][1], rtol=1e-3, atol=1e-4, msg=name)


def test_what_cannot_be_is_refused() -> None:
    """Numbers as actions, rollouts that do not fit, averages that act."""
    for override, said in (
        ('environment={ kind = "test/drift", copies = 2 }', "PQN needs discrete actions"),
        ("algorithm.batch_size=7", "16 transitions in 2 minibatches are 8 each: write 8"),
        ("algorithm.minibatches=3", "cannot be dealt into 3 equal minibatches"),
    ):
        with pytest.raises(Exception, match=said):
            load(TINY, [override])
    with pytest.raises(Exception, match="an average cannot act for it"):
        load(TINY, ["averages={ slow = { of = 'value', momentum = 0.9 } }", "training.acting={ value = 'slow' }"])


@pytest.mark.slow
def test_the_captured_update_equals_the_eager_one(tmp_path: Path) -> None:
    """Alone makes code of PQN's update, and of RAdam's step before and after the second moment counts."""
    torch.compiler.reset()
    parts, memory = collected(tmp_path)
    minibatches = [memory.draw() for _ in range(4)]
    eager, captured = (learner(choice=Choice(compiled, "a test")) for compiled in (False, True))
    for step in range(8):
        for agent in (eager, captured):
            agent.update(*minibatches[step % 4])
    for (name, one), other in zip(eager.tensors().items(), captured.tensors().values(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5, msg=name)
    parts.close()


def learner(choice: Choice = EAGER) -> Learner:
    return Learner(load(TINY).blueprint.agent, "cpu", choice)
