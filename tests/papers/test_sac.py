"""Soft actor-critic against its equations, written out here a second time: arXiv:1812.05905, arXiv:2410.09754."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from tiny_runs import EAGER, learner, tiny
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from composer.algorithms.program import Batch
from composer.environments import EnvironmentInfo
from composer.replay.transitions import Transitions
from composer.training.learner import Learner

BATCH = 32
OBSERVATION, ACTION = 3, 2
PLAIN = "normalization.observation={ kind = 'raw' }"


def copies(number: int) -> str:
    return f"networks.critic.copies={number}"


def batch(seeds: int = 1, seed: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    bootstrap = torch.full((seeds, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    return Transitions(draw(OBSERVATION), draw(ACTION).tanh(), draw(), bootstrap, draw(OBSERVATION))


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    seeds = agent.updates.shape[0]
    return {name: torch.randn(seeds, BATCH, *shape, generator=generator) for name, shape in agent.program.noise.items()}


def close(got: Tensor, expected: Tensor, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Float32 against the float64 reference."""
    torch.testing.assert_close(got.detach().double(), expected.detach().double(), rtol=rtol, atol=atol)


def run(agent: Learner, transitions: Transitions, draws: dict[str, Tensor]) -> dict[str, float]:
    agent.compute_update(*transitions, *draws.values())
    return agent.drain_signals()[0]


class Reference:
    """One seed of an agent as plain modules in float64: nothing stacked, nothing mapped, every formula written out."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        blueprint = tiny()
        size = {"actor": OBSERVATION, "critic": OBSERVATION + ACTION}
        self.actor = self._module(blueprint.networks["actor"].build((size["actor"],), ACTION), agent, "actor", seed, 0)
        number = agent.networks["critic"].copies
        self.critics, self.targets = (
            [
                self._module(blueprint.networks["critic"].build((size["critic"],), ACTION), agent, name, seed, copy)
                for copy in range(number)
            ]
            for name in ("critic", "target_critic")
        )
        self.log_alpha = agent.scalars["temperature"]["value"][seed, 0].detach().double()

    @staticmethod
    def _module(module: nn.Module, agent: Learner, name: str, seed: int, copy: int) -> nn.Module:
        stack = {**agent.networks, **agent.averages}[name].parameters
        module.load_state_dict({path: value[seed, copy].detach() for path, value in stack.items()})
        return module.double()

    def draw(self, observation: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Action and log-density, by the change of variables as the paper prints it."""
        mean, log_std = self.actor(observation.double())
        before = mean + log_std.exp() * draws
        action = before.tanh()
        gaussian = torch.distributions.Normal(mean, log_std.exp()).log_prob(before).sum(-1)
        return action, gaussian - (1 - action**2).log().sum(-1)

    def values(self, nets: list[nn.Module], observation: Tensor, action: Tensor) -> Tensor:
        return torch.stack([net(torch.cat([observation, action], -1).double()).squeeze(-1) for net in nets])

    def actor_loss(self, data: Transitions, draws: dict[str, Tensor], seed: int = 0) -> tuple[Tensor, Tensor]:
        action, density = self.draw(data.observation[seed], draws["actor"][seed])
        values = self.values(self.critics, data.observation[seed], action)
        return (self.log_alpha.exp().detach() * density - values.min(0).values).mean(), -density.detach().mean()

    def target(self, data: Transitions, draws: dict[str, Tensor], seed: int = 0) -> Tensor:
        with torch.no_grad():
            action, density = self.draw(data.next_observation[seed], draws["target"][seed])
            value = self.values(self.targets, data.next_observation[seed], action).min(0).values
            soft = value - self.log_alpha.exp() * density
            return data.reward[seed] + data.bootstrap[seed] * soft

    def critic_loss(self, data: Transitions, draws: dict[str, Tensor], seed: int = 0) -> Tensor:
        target = self.target(data, draws, seed)
        values = self.values(self.critics, data.observation[seed], data.action[seed])
        return sum(((value - target) ** 2).mean() for value in values)  # type: ignore[return-value]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_losses_and_their_gradients_are_those_of_the_equations(number: int) -> None:
    agent = learner(PLAIN, copies(number))
    data, draws = batch(), noise(agent)
    reference = Reference(agent)
    signals: dict[str, Tensor] = {}
    normalised = Batch(*data)
    ours = {o.role: o.loss(normalised, draws, signals) for o in agent.program.objectives}
    actor, entropy = reference.actor_loss(data, draws)
    critic = reference.critic_loss(data, draws)
    close(ours["actor"][0], actor)
    close(ours["critic"][0], critic)
    close(signals["actor/entropy"][0], entropy)
    for role, loss, nets in [("actor", actor, [reference.actor]), ("critic", critic, reference.critics)]:
        stack = agent.networks[role].parameters
        mine = torch.autograd.grad(ours[role].sum(), list(stack.values()), retain_graph=True)
        for copy, net in enumerate(nets):
            for (path, parameter), gradient in zip(stack.items(), mine, strict=True):
                assert parameter.shape == gradient.shape
                (expected,) = torch.autograd.grad(loss, net.get_parameter(path), retain_graph=True)
                close(gradient[0, copy], expected)


def test_temperature_gradient_has_its_closed_form_and_its_sign() -> None:
    agent = learner("algorithm.target_entropy_per_action=-0.5", "algorithm.initial_temperature=0.3")
    value = agent.scalars["temperature"]["value"]
    assert value.shape == (1, 1)
    assert value.item() == pytest.approx(math.log(0.3))
    for entropy, direction in [(2.0, 1.0), (-4.0, -1.0)]:
        loss = agent.program.objectives[1].loss(Batch(*batch()), {}, {"actor/entropy": torch.tensor([entropy])})
        (gradient,) = torch.autograd.grad(loss.sum(), value)
        # d/d(log alpha) of alpha (H - target), with a target of -0.5 for each of two action dimensions.
        assert gradient.item() == pytest.approx(0.3 * (entropy - -0.5 * ACTION), rel=1e-6)
        # Too random a policy lowers the temperature, too certain a one raises it.
        assert math.copysign(1, gradient.item()) == direction


def test_steps_follow_in_order_actor_temperature_critic_target() -> None:
    """The actor against the old critic; the critic against the new actor and temperature; the target last."""
    agent = learner(PLAIN, copies(2), "optimizers.temperature.learning_rate=0.5", "averages.target_critic.momentum=0.9")
    data, draws = batch(), noise(agent)
    run(agent, batch(seed=5), noise(agent, 5))  # The target lags behind the critic from here on.
    before = Reference(agent)
    signals = run(agent, data, draws)
    after = Reference(agent)
    loss, _ = before.actor_loss(data, draws)
    assert signals["actor/loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert signals["temperature/value"] == pytest.approx(before.log_alpha.exp().item(), rel=1e-6)

    def critic_loss(actor: Reference, temperature: Reference) -> float:
        mixed = Reference(agent)
        mixed.actor, mixed.log_alpha = actor.actor, temperature.log_alpha
        mixed.critics, mixed.targets = before.critics, before.targets
        return mixed.critic_loss(data, draws).item()

    right = critic_loss(after, after)
    assert signals["critic/loss"] == pytest.approx(right, rel=1e-4)
    # Every other order would have been seen.
    for wrong in (critic_loss(before, after), critic_loss(after, before), critic_loss(before, before)):
        assert abs(wrong - right) > 1e-3 * abs(right)
    for copy, target in enumerate(after.targets):
        for path, value in target.state_dict().items():
            expected = 0.9 * before.targets[copy].state_dict()[path] + 0.1 * after.critics[copy].state_dict()[path]
            close(value, expected, 1e-5, 1e-7)


def test_the_critic_may_step_first_as_in_jaxrl() -> None:
    """The critic against the old actor and temperature; the actor against the new critic and the old temperature."""
    settings = (PLAIN, copies(2), "algorithm.first=critic", "optimizers.temperature.learning_rate=0.5")
    agent = learner(*settings, "optimizers.critic.learning_rate=0.05")
    data, draws = batch(), noise(agent)
    run(agent, batch(seed=5), noise(agent, 5))
    before = Reference(agent)
    signals = run(agent, data, draws)
    after = Reference(agent)
    assert signals["critic/loss"] == pytest.approx(before.critic_loss(data, draws).item(), rel=1e-4)
    old, _ = before.actor_loss(data, draws)
    before.critics = after.critics
    new, _ = before.actor_loss(data, draws)
    assert signals["actor/loss"] == pytest.approx(new.item(), rel=1e-4)
    assert abs(new.item() - old.item()) > 1e-3 * abs(new.item()), "the old critic would have been seen"
    assert [objective.role for objective in agent.program.objectives] == ["critic", "actor", "temperature"]


def test_termination_masks_value_and_entropy_and_truncation_does_not() -> None:
    agent = learner(PLAIN, "algorithm.initial_temperature=10.0")
    draws = noise(agent)
    data = batch()._replace(bootstrap=torch.zeros(1, BATCH))
    # With nothing to bootstrap the target is the reward alone: not even alpha times the density is left of the rest.
    loss = agent.program.objectives[2].loss(Batch(*data), draws, {})
    values = Reference(agent).values(Reference(agent).critics, data.observation[0], data.action[0])
    expected = sum(((value - data.reward[0]) ** 2).mean() for value in values)
    close(loss[0], expected)
    # A bootstrap of the discount, as replay gives a truncated transition, brings both in.
    kept = agent.program.objectives[2].loss(Batch(*data)._replace(bootstrap=torch.full((1, BATCH), 0.9)), draws, {})
    expected = Reference(agent).critic_loss(data._replace(bootstrap=torch.full((1, BATCH), 0.9)), draws)
    close(kept[0], expected)
    assert abs(kept[0] - loss[0]) > 1


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_target_after_k_updates_is_the_weighted_sum_of_all_critics(momentum: float) -> None:
    agent = learner(f"averages.target_critic.momentum={momentum}")
    online, average = agent.networks["critic"].parameters, agent.averages["target_critic"].parameters
    start = {path: value.detach().clone() for path, value in average.items()}
    assert all(torch.equal(start[path], online[path]) for path in start)
    history = []
    for step in range(6):
        run(agent, batch(seed=step), noise(agent, step))
        history.append({path: value.detach().clone() for path, value in online.items()})
    for path, value in average.items():
        expected = momentum**6 * start[path] + sum(
            (1 - momentum) * momentum ** (5 - k) * critic[path] for k, critic in enumerate(history)
        )
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def linears(agent: Learner, role: str) -> Iterator[tuple[str, int]]:
    """Paths and sizes of a network's weight matrices."""
    for path, value in agent.networks[role].parameters.items():
        if value.ndim == 4:
            yield path, value.shape[2] * value.shape[3]


@pytest.mark.parametrize("number", [1, 2])
def test_an_update_spends_no_matrix_product_that_no_loss_needs(number: int) -> None:
    agent = learner(copies(number))
    data, draws = batch(), noise(agent)
    run(agent, data, draws)
    with FlopCounterMode(display=False) as counter:
        agent.compute_update(*data, *draws.values())
    forward = {role: 2 * BATCH * sum(size for _, size in linears(agent, role)) for role in ("actor", "critic")}
    entry = {role: 2 * BATCH * next(linears(agent, role))[1] for role in ("actor", "critic")}
    critics = number * forward["critic"]
    # Actor: forward; its gradient to weights, and to inputs but for the first layer's. Through the critic: forward, and
    # the gradient to the input (which holds the action), but none to the critic's weights.
    actor_loss = 3 * forward["actor"] - entry["actor"] + 2 * critics
    # Critic: the policy and the target forward alone; forward and both gradients but the first layer's to its input.
    critic_loss = forward["actor"] + critics + 3 * critics - number * entry["critic"]
    assert counter.get_total_flops() == actor_loss + critic_loss


@pytest.mark.parametrize(
    ("limit", "repeat", "expected"),
    [(1000, 2, 0.99), (100, 2, 0.95), (1000, 1, 0.995), (1000, 8, 0.96), (30, 1, 0.95), (10, 10, 0.95)],
)
def test_discount_follows_from_the_length_of_an_episode(limit: int, repeat: int, expected: float) -> None:
    rule = tiny("algorithm.discount={ kind = 'episode_length' }").algorithm.discount
    info = EnvironmentInfo((3,), 2, limit, repeat, False)
    assert rule.value_for(info) == pytest.approx(expected)


def test_the_learner_bootstraps_by_that_discount() -> None:
    blueprint = tiny("environment={ kind = 'test/drift', limit = 500 }")
    agent = Learner(blueprint.agent, "cpu", EAGER)
    assert agent.discount.tolist() == pytest.approx([0.99])


def test_evaluation_plays_the_mode_and_training_draws() -> None:
    agent = learner(PLAIN)
    observation = torch.randn(1, 4, OBSERVATION, generator=torch.Generator().manual_seed(0))
    mean, _ = Reference(agent).actor(observation[0].double())
    close(agent.act(observation, explore=False)[0], mean.tanh(), 1e-5, 1e-6)
    assert torch.equal(agent.act(observation, explore=False), agent.act(observation, explore=False))
    assert not torch.equal(agent.act(observation), agent.act(observation))
