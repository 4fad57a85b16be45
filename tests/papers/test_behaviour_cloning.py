"""Behaviour cloning beside the losses of TD3 and SAC: arXiv:2106.06860, arXiv:2502.15280, written out a second time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny_deterministic
import tiny_runs
import torch
from torch import Tensor

from composer.algorithms.losses.cloning import CloningLoss
from composer.algorithms.program import Batch
from composer.replay.transitions import Transitions
from composer.training.learner import Learner

PLAIN = "normalization={ observation = { kind = 'raw' }, reward = { kind = 'raw' } }"
VALUE, CLONING = "{ weighs = 'value', weight = 2.5 }", "{ weighs = 'cloning', weight = 0.1 }"
BUILD: dict[str, Callable[..., Learner]] = {
    "td3": tiny_deterministic.learner,
    "sac": lambda *overrides: tiny_runs.learner(tiny_runs.DRIFT, *overrides),
}


def draws_of(agent: Learner) -> dict[str, Tensor]:
    generator, rows = torch.Generator().manual_seed(7), (len(agent.seeds), tiny_deterministic.BATCH)
    return {name: torch.randn(*rows, *shape, generator=generator) for name, shape in agent.program.noise.items()}


def policy_and_values(agent: Learner, data: Transitions, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The policy's actions ``[S, B, a]`` and what the actor maximises, ``[S, B]``, read off the networks."""
    raw = agent.networks["actor"](data.observation)
    if isinstance(raw, tuple):
        mean, log_std = (each[:, 0] for each in raw)
        action = torch.tanh(mean + log_std.exp() * draws["actor"])
        return action, agent.networks["critic"](torch.cat([data.observation, action], -1)).amin(1)
    action = raw[:, 0]
    return action, agent.networks["critic"](torch.cat([data.observation, action], -1))[:, 0]


@pytest.mark.parametrize("declared", [VALUE, CLONING])
@pytest.mark.parametrize("kind", BUILD)
def test_loss_and_gradient_are_the_weighed_sum(kind: str, declared: str) -> None:
    """No gradient through the mean size of values: each seed by its own."""
    plain = BUILD[kind](PLAIN, "seeds=[0, 5]")
    agent = BUILD[kind](PLAIN, "seeds=[0, 5]", f"algorithm.behaviour_cloning={declared}")
    data, draws, told = tiny_deterministic.batch(2), draws_of(agent), {}
    roles = [each.role for each in agent.program.objectives]
    loss = agent.program.objectives[roles.index("actor")].loss(Batch(*data), draws, told)
    own = plain.program.objectives[roles.index("actor")].loss(Batch(*data), draws, {})
    action, values = policy_and_values(agent, data, draws)
    error, size = (action - data.action).square().flatten(1).mean(1), values.abs().mean(1).detach()
    assert (size[0] / size[1] - 1).abs() > 0.02
    factors = (2.5 / size, torch.ones(2)) if declared == VALUE else (torch.ones(2), 0.1 * size)
    torch.testing.assert_close(told["actor/cloning"], error.detach())
    torch.testing.assert_close(loss, factors[0] * own.detach() + factors[1] * error)
    mine = torch.autograd.grad(loss.sum(), [*agent.networks["actor"].parameters.values()])
    parts = []
    for learner, each in ((plain, own), (agent, error)):
        parts.append(torch.autograd.grad(each.sum(), [*learner.networks["actor"].parameters.values()]))
    for got, one, other in zip(mine, *parts, strict=True):
        scale = [factor.view(2, *[1] * (got.ndim - 1)) for factor in factors]
        torch.testing.assert_close(got, scale[0] * one + scale[1] * other, rtol=1e-4, atol=1e-6)


def test_closed_forms_and_the_clock_of_the_weight() -> None:
    """Values 1 and -3, errors 1 and 0: mean size 2, error 1/2."""
    values, actions = torch.tensor([[1.0, -3.0]]).double(), torch.tensor([[[0.5], [0.25]]]).double()
    data = actions - torch.tensor([[[1.0], [0.0]]])
    told: dict[str, Tensor] = {}
    for weighs_value, expected in ((True, [2.5 / 2 * 7 + 0.5, 0.5]), (False, [7 + 2.5 * 2 * 0.5, 7.0])):
        rule = CloningLoss(lambda updates: 2.5 * (1 - updates / 4), weighs_value)
        for updates, wanted in zip((0.0, 4.0), expected, strict=True):
            own = torch.tensor([7.0]).double()
            loss = rule.add(own, values, (actions, data), torch.tensor([updates]).double(), told)
            assert loss.tolist() == [pytest.approx(wanted, rel=1e-12)]
            assert told["actor/cloning"].tolist() == [0.5]


def test_a_value_term_without_weight_clones_the_data() -> None:
    """Actions of the data are a function of the observation: the policy learns them, whatever the critics say."""
    agent = tiny_deterministic.learner(
        PLAIN, "algorithm.behaviour_cloning={ weight = 0 }", "optimizers.actor.learning_rate=3e-2"
    )
    data = tiny_deterministic.batch()
    data = data._replace(action=torch.tanh(data.observation[..., :2] - data.observation[..., 1:]))
    for _ in range(300):
        agent.update(data)
    agent.drain_signals()
    agent.update(data)
    (told,) = agent.drain_signals()
    assert told["actor/cloning"] < 1e-3
