"""Implicit Q-learning, arXiv:2110.06169 and its code: whole updates written out in NumPy; expectiles by brute force."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_deterministic import ACTIONS, BATCH, batch
from tiny_runs import EAGER

from composer.algorithms.iql_losses import expectile_weight
from composer.blueprint import BlueprintError, load
from composer.training.learner import Learner

Array = NDArray[np.float64]
TINY = Path(__file__).parents[1] / "tiny_iql.toml"
TAU, BETA, LARGEST, MOMENTUM = 0.8, 1.5, 2.0, 0.9


def learner(*overrides: str) -> Learner:
    return Learner(load(TINY, overrides).blueprint.agent, "cpu", EAGER)


class Reference:
    """One seed in NumPy: every network is one layer, so that its gradients are written out below."""

    def __init__(self, agent: Learner, seed: int) -> None:
        self.value = self._layer(agent, "value", seed)[0]
        self.mean = self._layer(agent, "actor", seed, "mean")[0].T
        self.log_std = agent.networks["actor"].parameters["head.log_std"][seed, 0].detach().double().numpy().copy()
        self.critics = self._layer(agent, "critic", seed)[:, 0]
        self.targets = self.critics.copy()

    @staticmethod
    def _layer(agent: Learner, role: str, seed: int, name: str = "linear") -> Array:
        """Weights and, in the last column, biases: ``[C, outputs, inputs + 1]``; a value's without the first two."""
        found = agent.networks[role].parameters
        weight, bias = found[f"head.{name}.weight"][seed], found[f"head.{name}.bias"][seed]
        both: Array = torch.cat([weight, bias[..., None]], -1).detach().double().numpy().copy()
        return both[:, 0] if role == "value" else both

    def update(self, data: tuple[Array, ...], actor_rate: float) -> dict[str, float]:
        seen, action, reward, bootstrap, following = data
        ones = np.ones((len(seen), 1))
        state, after = np.hstack([seen, ones]), np.hstack([following, ones])
        pair = np.hstack([seen, action, ones])
        judged = (pair @ self.targets.T).min(1)
        error = judged - state @ self.value
        weight = np.abs(TAU - (error < 0))
        told = {"value/loss": float((weight * error**2).mean())}
        self.value = self.value + 0.1 * 2 * (weight * error) @ state / len(seen)
        advantage = np.exp(BETA * (judged - state @ self.value))
        told["actor/clipped"] = float((advantage > LARGEST).mean())
        weight = np.minimum(advantage, LARGEST)
        mean, std = np.tanh(state @ self.mean), np.exp(self.log_std)
        score = (action - mean) / std
        density = (-0.5 * score**2 - self.log_std - 0.5 * math.log(2 * math.pi)).sum(1)
        told["actor/loss"] = float(-(weight * density).mean())
        outward = weight[:, None] * score / std * (1 - mean**2) / len(seen)
        self.mean = self.mean + actor_rate * state.T @ outward
        self.log_std = self.log_std + actor_rate * (weight[:, None] * (score**2 - 1)).mean(0)
        target = reward + bootstrap * (after @ self.value)
        wrong = pair @ self.critics.T - target[:, None]
        told["critic/loss"] = float((wrong**2).mean(0).sum())
        self.critics = self.critics - 0.05 * 2 * wrong.T @ pair / len(seen)
        self.targets = MOMENTUM * self.targets + (1 - MOMENTUM) * self.critics
        return told


def test_three_updates_are_those_of_the_paper_in_the_order_of_its_code() -> None:
    """Value, actor, critic, target; two seeds; the actor's rate falls to 0 along half a cosine in three updates."""
    agent = learner("seeds=[0, 5]")
    references = [Reference(agent, seed) for seed in range(2)]
    for step in range(4):
        data = batch(2, step)._replace(reward=3 * batch(2, step).reward)
        agent.compute_update(*data)
        rate = 0.1 * (1 + math.cos(math.pi * min(step / 3, 1)))
        for seed, (told, r) in enumerate(zip(agent.drain_signals(), references, strict=True)):
            expected = r.update(tuple(each[seed].double().numpy() for each in data), rate)
            assert 0 < expected["actor/clipped"] < 1 and told["actor/clipped"] == expected["actor/clipped"]
            for name, value in expected.items():
                assert told[name] == pytest.approx(value, rel=1e-4), (step, seed, name)
    for seed, r in enumerate(references):
        mine = Reference(agent, seed)
        for name in ("value", "mean", "log_std", "critics"):
            np.testing.assert_allclose(getattr(mine, name), getattr(r, name), rtol=1e-4, atol=1e-5, err_msg=name)
        lagging = agent.averages["target_critic"].parameters["head.linear.weight"][seed, :, 0].detach().numpy()
        np.testing.assert_allclose(lagging, r.targets[:, :-1], rtol=1e-4, atol=1e-5)
        assert np.abs(r.targets - r.critics).max() > 1e-2


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.7, 0.9])
def test_the_value_that_minimises_the_loss_is_the_expectile(tau: float) -> None:
    """Of a fair coin it is tau, of a sample the minimum of its own definition on a fine grid; at 1/2 the mean."""
    sample = torch.randn(101, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    level = torch.tensor(tau, dtype=torch.float64)
    for values in (torch.tensor([0.0, 1.0], dtype=torch.float64), sample):
        guess = values.mean()
        for _ in range(200):  # Where the gradient of the weighted square vanishes.
            weight = expectile_weight(values - guess, level)
            guess = (weight * values).sum() / weight.sum()
        grid = torch.linspace(float(values.min()), float(values.max()), 20_001, dtype=torch.float64)
        error = values[:, None] - grid
        loss = torch.where(error < 0, (1 - tau) * error**2, tau * error**2).sum(0)
        assert float(guess) == pytest.approx(float(grid[loss.argmin()]), abs=2e-4)
        if len(values) == 2:
            assert float(guess) == pytest.approx(tau, abs=1e-12)
    if tau == 0.5:
        assert float(guess) == pytest.approx(float(sample.mean()), abs=1e-12)


def test_actions_are_draws_clipped_to_the_box_and_means_in_evaluations() -> None:
    agent = learner()
    seen, noise = torch.randn(1, 50, 3), 4 * torch.randn(1, 50, ACTIONS)
    mean, log_std = (each[:, 0] for each in agent.networks["actor"](seen))
    assert torch.equal(log_std, torch.full((1, 50, ACTIONS), -0.5)) and mean.abs().max() < 1
    found = agent.program.act(seen, noise)
    torch.testing.assert_close(found, (mean + math.exp(-0.5) * noise).clip(-1, 1))
    assert (found.abs() == 1).any()
    assert torch.equal(agent.program.evaluate(seen, None), mean)


def test_the_deviation_is_clipped_and_rests_at_its_bound() -> None:
    agent, data = learner("optimizers.actor.learning_rate=0.1"), batch()
    log_std = agent.networks["actor"].parameters["head.log_std"]
    with torch.no_grad():
        log_std.copy_(torch.tensor([-7.0, -1.0]))
    assert agent.networks["actor"](data.observation)[1][0, 0, 0].tolist() == [-5.0, -1.0]
    agent.compute_update(*data)
    assert log_std[0, 0, 0] == -7.0 and log_std[0, 0, 1] != -1.0


def test_no_loss_sees_an_action_that_the_data_do_not_have() -> None:
    """The critic's target is the value of the next observation: the actor does not move it, nor does any noise."""
    agent, other = learner(), learner()
    with torch.no_grad():
        for value in other.networks["actor"].parameters.values():
            value.add_(0.3)
    data = batch()
    for each in (agent, other):
        assert not each.program.noise
        each.compute_update(*data)
    for role in ("value", "critic"):
        for path, value in agent.networks[role].parameters.items():
            assert torch.equal(value, other.networks[role].parameters[path]), (role, path)
    assert len(data.reward[0]) == BATCH


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("networks.value.head={ kind = 'quantile', quantiles = 5 }", "IQL's value gives one value, got the head"),
        ("networks.actor.head={ kind = 'tanh_gaussian' }", "IQL's actor needs a head that gives 'gaussian'"),
        ("networks.value.copies=2", "IQL has one value, got 2"),
        ("averages.target_critic.of='value'", "IQL's 'target_critic' averages 'critic', got 'value'"),
        ("networks.actor.head.initial_log_std=3.0", "'initial_log_std' .3.0. must be between 'log_std_min' .-5.0."),
        ("environment={ kind = 'gymnasium', id = 'CartPole-v1' }", "needs vectors as observations and actions"),
        ("algorithm.expectile=1.0", "less than 1"),
    ],
)
def test_what_makes_no_sense_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        load(TINY, [override])
