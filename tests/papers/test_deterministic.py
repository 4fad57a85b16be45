"""DDPG, TD3 and SimBa's noise against their equations, written out again: arXiv:1509.02971, arXiv:1802.09477."""

from __future__ import annotations

import pytest
import torch
from tiny_deterministic import ACTIONS, RAW, SILENT, SIMBA, batch, blueprint_of, learner, noise, state
from torch import Tensor, nn

from composer.algorithms import DDPG, TD3
from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.replay.transitions import Transitions
from composer.training.learner import Learner


class Reference:
    """One seed of an agent as plain modules in float64: nothing stacked, nothing mapped."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        blueprint = blueprint_of()
        self.nets: dict[str, list[nn.Module]] = {}
        for name, stack in {**agent.networks, **agent.averages}.items():
            role = name.removeprefix("target_")
            size = 3 if role == "actor" else 3 + ACTIONS
            self.nets[name] = []
            for copy in range(stack.copies):
                module = blueprint.networks[role].build((size,), ACTIONS)
                module.load_state_dict({path: v[seed, copy].detach() for path, v in stack.parameters.items()})
                self.nets[name].append(module.double())

    def act(self, name: str, observation: Tensor) -> Tensor:
        action: Tensor = self.nets[name][0](observation.double())
        return action

    def values(self, name: str, observation: Tensor, action: Tensor) -> Tensor:
        inputs = torch.cat([observation.double(), action.double()], -1)
        return torch.stack([net(inputs).squeeze(-1) for net in self.nets[name]])


def moved(agent: Learner) -> Learner:
    """Targets lag behind from here on."""
    for step in range(4):
        agent.update(batch(len(agent.seeds), 50 + step))
    return agent


def losses(agent: Learner, data: Transitions, draws: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {each.role: each.loss(Batch(*data), draws, {}) for each in agent.program.objectives}
    return {role: loss[0] for role, loss in found.items()}


def same(
    agent: Learner, data: Transitions, draws: dict[str, Tensor], expected: dict[str, Tensor], r: Reference
) -> None:
    """Losses and their gradients are those expected of a reference."""
    found = losses(agent, data, draws)
    for role, want in expected.items():
        torch.testing.assert_close(found[role].double(), want, rtol=1e-4, atol=1e-5)
        stack = agent.networks[role].parameters
        mine = torch.autograd.grad(found[role], list(stack.values()))
        for copy, net in enumerate(r.nets[role]):
            theirs = torch.autograd.grad(want, [net.get_parameter(path) for path in stack], retain_graph=True)
            for path, one, other in zip(stack, mine, theirs, strict=True):
                torch.testing.assert_close(one[0, copy].double(), other, rtol=1e-3, atol=1e-5, msg=f"{role} {path}")


def squared(values: Tensor, target: Tensor) -> Tensor:
    return (values - target.detach()).square().mean(1).sum()


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_td3(copies: int) -> None:
    """Eq. 14 and algorithm 1: clipped noise on the target actor, the lowest target, the first critic for the actor."""
    agent = moved(learner(RAW, f"networks.critic.copies={copies}"))
    data, draws, r = batch(), noise(agent), Reference(agent)
    assert set(draws) == {"target"}
    assert (0.2 * draws["target"].abs() > 0.5).any()
    with torch.no_grad():
        smoothed = (r.act("target_actor", data.next_observation[0]) + (0.2 * draws["target"][0]).clip(-0.5, 0.5)).clip(
            -1, 1
        )
        target = data.reward[0] + data.bootstrap[0] * r.values(
            "target_critic", data.next_observation[0], smoothed
        ).amin(0)
    climbed = r.values("critic", data.observation[0], r.act("actor", data.observation[0]))[0]
    expected = {"critic": squared(r.values("critic", data.observation[0], data.action[0]), target)}
    same(agent, data, draws, expected | {"actor": -climbed.mean()}, r)


def test_ddpg_with_simbas_noise_in_both_losses() -> None:
    """The online actor's next action; its own draws in each loss; sums clipped, noise not."""
    agent = moved(learner(RAW, *SIMBA, "algorithm.actor_noise.std=0.4", "algorithm.target_noise.std=0.3"))
    data, draws, r = batch(), noise(agent), Reference(agent)
    assert set(draws) == {"actor", "target"}
    with torch.no_grad():
        following = (r.act("actor", data.next_observation[0]) + 0.3 * draws["target"][0]).clip(-1, 1)
        assert (following.abs() == 1).any() and (0.3 * draws["target"].abs() > 1).any()
        target = data.reward[0] + data.bootstrap[0] * r.values(
            "target_critic", data.next_observation[0], following
        ).amin(0)
    jittered = (r.act("actor", data.observation[0]) + 0.4 * draws["actor"][0]).clip(-1, 1)
    climbed = r.values("critic", data.observation[0], jittered).amin(0)
    expected = {"critic": squared(r.values("critic", data.observation[0], data.action[0]), target)}
    same(agent, data, draws, expected | {"actor": -climbed.mean()}, r)


def test_means_of_critics() -> None:
    agent = moved(learner(RAW, SILENT, "algorithm.critics='mean'", "algorithm.actor_critics='mean'"))
    data, r = batch(), Reference(agent)
    assert not agent.program.noise
    with torch.no_grad():
        following = r.act("target_actor", data.next_observation[0])
        target = data.reward[0] + data.bootstrap[0] * r.values(
            "target_critic", data.next_observation[0], following
        ).mean(0)
    climbed = r.values("critic", data.observation[0], r.act("actor", data.observation[0])).mean(0)
    expected = {"critic": squared(r.values("critic", data.observation[0], data.action[0]), target)}
    same(agent, data, {}, expected | {"actor": -climbed.mean()}, r)


@pytest.mark.parametrize("first", ["actor", "critic"])
def test_whoever_steps_second_sees_the_step_of_the_first(first: str) -> None:
    options = (RAW, *SIMBA, f"algorithm.first='{first}'")
    agent, data = learner(*options), batch()
    draws = noise(agent)
    agent.compute_update(*data, *draws.values())
    (signals,) = agent.drain_signals()
    fresh = learner(*options)
    second = "critic" if first == "actor" else "actor"
    before = losses(fresh, data, draws)
    assert signals[f"{first}/loss"] == pytest.approx(before[first].item(), rel=1e-5)
    for path, value in fresh.networks[first].parameters.items():
        value.data.copy_(agent.networks[first].parameters[path])
    after = losses(fresh, data, draws)
    assert signals[f"{second}/loss"] == pytest.approx(after[second].item(), rel=1e-5)
    assert signals[f"{second}/loss"] != pytest.approx(before[second].item(), rel=1e-5)


def test_a_distributional_critic_learns_the_distribution_of_the_target() -> None:
    """All rewards 1 and nothing to bootstrap: every critic comes to say 1, and the actor's loss to be -1."""
    head = "networks.critic.head={ kind = 'categorical_value', atoms = 21, low = -2.0, high = 2.0 }"
    agent = learner(RAW, head, "optimizers.critic.learning_rate=3e-2")
    data = batch()._replace(reward=torch.ones(1, 32), bootstrap=torch.zeros(1, 32))
    for _ in range(80):
        agent.update(data)
    agent.drain_signals()
    agent.update(data)
    (signals,) = agent.drain_signals()
    assert signals["critic/value"] == pytest.approx(1.0, abs=0.05)
    assert signals["actor/loss"] == pytest.approx(-1.0, abs=0.3)


def test_exploration_follows_its_schedule_stays_in_the_box_and_is_absent_from_evaluation() -> None:
    course = "{ kind = 'linear', start = 0.5, end = 0.0, updates = 4 }"
    agent = learner(f"algorithm.exploration={{ std = {course}, clip = 0.6 }}", "seeds=[0, 1]")
    observation, draws = torch.randn(2, 200, 3), 2 * torch.randn(2, 200, ACTIONS)
    plain = agent.program.act(observation, None)
    for done, std in [(0, 0.5), (2, 0.25), (4, 0.0), (9, 0.0)]:
        agent.updates.fill_(done)
        got = agent.program.act(observation, draws)
        torch.testing.assert_close(got, (plain + (std * draws).clip(-0.6, 0.6)).clip(-1, 1))
    assert torch.equal(agent.program.act(observation, None), plain)
    agent.updates.zero_()
    explored = agent.act(observation)
    assert explored.abs().max() <= 1 and not torch.equal(explored, agent.act(observation))
    assert torch.equal(agent.act(observation, explore=False), agent.act(observation, explore=False))


def test_the_two_kinds_differ_in_defaults_alone() -> None:
    common = {"critics": "minimum", "target_actor": True, "first": "critic"}
    td3, ddpg = TD3().model_dump(), DDPG().model_dump()
    assert {key for key in td3 if td3[key] != ddpg[key]} == {"actor_critics", "policy_delay", "target_noise"}
    assert common.items() <= td3.items()
    smoothed = {"std": 0.2, "clock": "update", "clip": 0.5, "straight_through": False}
    assert (td3["policy_delay"], td3["target_noise"], td3["actor_critics"]) == (2, smoothed, "first")
    as_ddpg = ("algorithm.policy_delay=1", SILENT, "algorithm.actor_critics='minimum'")
    other = "algorithm={ kind = 'ddpg', batch_size = 32, warmup_interactions = 50 }"
    one, two = moved(learner(*as_ddpg)), moved(learner(other))
    for name, value in state(one).items():
        assert torch.equal(value, state(two)[name]), name


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "networks.actor.head={ kind = 'tanh_gaussian' }",
            "TD3's actor needs a head that gives 'deterministic_action'",
        ),
        ("networks.actor.copies=2", "TD3 has one actor, got 2"),
        ("networks.critc={ trunk = { kind = 'relu' }, head = { kind = 'scalar' } }", "TD3 has no network 'critc'"),
        ("averages.target_actor.of='critic'", "TD3's 'target_actor' averages 'actor', got 'critic'"),
        ("replay.sampling={ kind = 'prioritised' }", "td3 weighs all samples alike"),
        ("algorithm.exploration.std=-0.1", "must be in 0 to 10, got -0.1"),
        ("algorithm.policy_delay=0", "must be in 1 to 1,000,000, got 0"),
        (
            "environment={ kind = 'gymnasium', id = 'CartPole-v1' }",
            "needs vectors as observations and actions, got choices",
        ),
    ],
)
def test_what_does_not_fit_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        blueprint_of(override)
    assert said in str(caught.value)
