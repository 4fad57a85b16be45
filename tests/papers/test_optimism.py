"""The optimistic actor of BRO, arXiv:2405.16158 and its released code, with its formulas written out a second time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import EVENTFUL, begin, finished, learner, result, resumed, stopped, tiny
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from composer.algorithms.losses.returns import C51, ImplicitQuantile, Point, Quantile
from composer.blueprint import BlueprintError
from composer.replay.transitions import Transitions
from composer.training.learner import Learner

PLAIN = "normalization.observation={ kind = 'raw' }"
QUANTILES = "networks.critic.head={ kind = 'quantile', quantiles = 5 }"
NETWORK = "{ trunk = { use = 'mlp', width = 8, depth = 1 }, head = { kind = 'action_shift' } }"
ADAM = "{ kind = 'adam', learning_rate = 1e-3 }"
OPTIMISTIC = (
    "algorithm.optimism={ std_scale = 0.6, target_kl = 0.02, initial_optimism = 2.0 }",
    "algorithm.critics='mean'",
    "algorithm.first='critic'",
    QUANTILES,
    f"networks.optimistic_actor={NETWORK}",
    *(f"optimizers.{role}={ADAM}" for role in ("optimistic_actor", "optimism", "regularizer")),
)
BATCH, OBSERVATION, ACTION = 32, 3, 2


def batch(seeds: int) -> Transitions:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    return Transitions(draw(OBSERVATION), draw(ACTION).tanh(), draw(), torch.full((seeds, BATCH), 0.9), draw(3))


def updated(agent: Learner) -> tuple[Transitions, dict[str, Tensor], dict[str, float]]:
    """Transitions, draws, and what the update reported of the second seed."""
    data, generator = batch(len(agent.seeds)), torch.Generator().manual_seed(2)
    shapes = agent.program.noise.items()
    noise = {name: torch.randn(len(agent.seeds), BATCH, *shape, generator=generator) for name, shape in shapes}
    agent.compute_update(*data, *noise.values())
    return data, noise, agent.drain_signals()[1]


def test_losses_are_those_of_the_paper_in_its_order() -> None:
    """Critic and actor have stepped, the optimistic actor has not; then both weights see its divergence."""
    agent = learner("seeds=[0, 5]", PLAIN, *OPTIMISTIC)
    first = {path: value.detach().clone() for path, value in agent.networks["optimistic_actor"].parameters.items()}
    roles = [objective.role for objective in agent.program.objectives]
    assert roles == ["critic", "actor", "temperature", "optimistic_actor", "optimism", "regularizer"]
    weights = {name: agent.scalars[name]["value"].detach().clone() for name in ("optimism", "regularizer")}
    data, noise, told = updated(agent)
    moved = agent.networks["optimistic_actor"].parameters
    assert any(not torch.equal(moved[path], value) for path, value in first.items())
    with torch.no_grad():
        for path, value in first.items():
            moved[path].copy_(value)
        seen = data.observation
        mean, log_std = (each[1, 0].double() for each in agent.networks["actor"](seen))
        shift = agent.networks["optimistic_actor"](torch.cat([seen[1], mean.float()], -1).expand(2, -1, -1))[1, 0]
        std, centre = log_std.exp(), mean + shift.double()
        action = (centre + 0.6 * std * noise["optimistic_actor"][1].double()).tanh()
        pairs = torch.cat([seen[1], action.float()], -1).expand(2, -1, -1)
        one, two = agent.networks["critic"](pairs)[1].double().unbind()
    divergence = kl_divergence(Normal(centre, 0.6 * std / 0.6), Normal(mean, std)).sum(-1).mean()
    upper = ((one + two) / 2 + 2.0 * (one - two).abs() / 2).mean(-1)
    close = {"rel": 2e-4, "abs": 1e-5}
    assert told["optimistic_actor/kl"] == pytest.approx(float(divergence), **close)
    assert told["optimistic_actor/spread"] == pytest.approx(float(((one - two).abs() / 2).mean()), **close)
    assert told["optimistic_actor/loss"] == pytest.approx(float(0.25 * divergence - upper.mean()), **close)
    excess = float(divergence) / ACTION - 0.02
    assert told["optimism/value"] == pytest.approx(2.0, rel=1e-5)
    assert told["regularizer/value"] == pytest.approx(0.25, rel=1e-5)
    assert told["optimism/loss"] == pytest.approx(2.0 * excess, **close)
    assert told["regularizer/loss"] == pytest.approx(-0.25 * excess, **close)
    assert excess > 0 and agent.scalars["optimism"]["value"][1] < weights["optimism"][1]
    assert agent.scalars["regularizer"]["value"][1] > weights["regularizer"][1]


def test_it_collects_and_the_actor_is_evaluated() -> None:
    agent = learner(PLAIN, *OPTIMISTIC)
    seen, noise = torch.randn(1, 4, OBSERVATION), torch.randn(1, 4, ACTION)
    mean, log_std = (each[:, 0] for each in agent.networks["actor"](seen))
    shift = agent.networks["optimistic_actor"](torch.cat([seen, mean], -1))[:, 0]
    assert shift.abs().min() > 0
    expected = torch.tanh(mean + shift + 0.6 * log_std.exp() * noise)
    torch.testing.assert_close(agent.program.act(seen, noise), expected)
    torch.testing.assert_close(agent.program.evaluate(seen, None), mean.tanh())


def test_returns_are_as_far_apart_as_their_quantiles() -> None:
    """Closed forms: points 3 apart; quantiles 1 and 2 apart; all probability moved by two atoms of width 0.5."""
    assert Point().distance(torch.tensor([[1.0, -2.0]])).tolist() == [3.0]
    pair = torch.tensor([[[0.0, 1.0], [1.0, 3.0]]])
    assert Quantile(2, 1.0).distance(pair).tolist() == [1.5]
    assert ImplicitQuantile(1.0).distance((pair, torch.rand(1, 2, 2))).tolist() == [1.5]
    logits = torch.tensor([[[50.0, 0.0, 0.0], [0.0, 0.0, 50.0]]])
    assert C51(3, -0.5, 0.5).distance(logits).tolist() == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("without", "more", "said"),
    [
        ("none", "networks.critic.copies=3", "optimism is over the difference of 2 critics, got 3"),
        ("algorithm.optimism", "seeds=[0]", "it belongs to 'optimism', which is not declared"),
        ("networks.opt", "seeds=[0]", "needs a network 'optimistic_actor', for 'optimism'"),
        ("none", "networks.optimistic_actor.head={ kind = 'scalar' }", "a head that gives 'action_shift'"),
    ],
)
def test_what_makes_no_sense_is_refused(without: str, more: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        tiny(*(each for each in OPTIMISTIC if not each.startswith(without)), more)


@pytest.mark.slow
def test_a_run_with_a_reset_resumes_exactly(tmp_path: Path) -> None:
    """Two whole runs: stopped and resumed is as if never stopped; a reset draws all three of BRO's roles anew."""
    reset = "interventions.r={ use = 'full_reset', interval = 80 }"
    options = (*EVENTFUL, *OPTIMISTIC, reset)
    run, _ = finished(tmp_path / "whole", *options)
    halted = stopped(*begin(tmp_path / "halted", *options), at=90)
    assert result(resumed(halted)) == result(run)
