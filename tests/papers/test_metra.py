"""METRA written out a second time in float64, without the program's code: arXiv:2310.08887 and its released code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_runs import EAGER, go_on, result, resumed, rows, stopped
from torch import Tensor

from composer.algorithms.metra_losses import skill_reward, squared_distance
from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.clock import clock_of
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.learner import Learner

TINY = Path(__file__).parent.parent / "tiny_metra.toml"
BATCH, SKILL, ACTIONS = 16, 2, 2
RATES = {"representation": 0.01, "multiplier": 0.02, "critic": 0.03, "actor": 0.04, "temperature": 0.05}
SUM = "algorithm.distance='sum'"
CHOICE = "environment.skills={ size = 2, distribution = 'one_hot' }"


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str) -> Learner:
    return Learner(blueprint_of(*overrides).agent, "cpu", EAGER)


def batch(agent: Learner, is_choice: bool = False, seed: int = 0) -> Transitions:
    """Steps of which some are longer than allowed, with the same skill at both ends; some end an episode."""
    generator, seeds = torch.Generator().manual_seed(seed), len(agent.seeds)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    skill = draw(SKILL)
    skill = torch.eye(2)[(skill[..., 0] > 0).long()] if is_choice else skill / skill.norm(dim=-1, keepdim=True)
    now, following = (torch.cat([each, skill], -1) for each in (draw(4), draw(4)))
    bootstrap = torch.full((seeds, BATCH), 0.97)
    bootstrap[:, ::5] = 0.0
    return Transitions(now, draw(ACTIONS).tanh(), draw(), bootstrap, following)


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(len(agent.seeds), BATCH, *shape, generator=generator)
        for name, shape in agent.program.noise.items()
    }


class Plain:
    """The agent of one seed on its parameters in float64, which takes the steps of an update one after another."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        self.held = {
            name: [
                {path: value[seed, copy].detach().double().requires_grad_() for path, value in stack.parameters.items()}
                for copy in range(stack.copies)
            ]
            for name, stack in {**agent.networks, **agent.averages}.items()
        }
        scalars = {name: value["value"][seed, 0].detach().double() for name, value in agent.scalars.items()}
        self.log_lambda, self.log_alpha = scalars["multiplier"], scalars["temperature"]

    def phi(self, s: Tensor) -> Tensor:
        w = self.held["representation"][0]
        hidden = mlp(w, "trunk.0.1.0", mlp(w, "trunk.0.0.0", s[:, :4]))
        return linear(w, "trunk.1", hidden)

    def pi(self, s: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        w = self.held["actor"][0]
        x = mlp(w, "trunk.0.0", s)
        mean = linear(w, "head.mean", x)
        log_std = -10 + 6 * (1 + linear(w, "head.log_std", x).tanh())
        u = mean + log_std.exp() * eps
        log_pi = (-0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi) - (1 - u.tanh() ** 2).log()).sum(-1)
        return u.tanh(), log_pi

    def q(self, name: str, s: Tensor, a: Tensor) -> Tensor:
        found = [linear(w, "head.linear", mlp(w, "trunk.0.0", torch.cat([s, a], -1))) for w in self.held[name]]
        return torch.stack(found).squeeze(-1)

    def step(self, role: str, loss: Tensor) -> None:
        """Gradient descent; the parameters are replaced."""
        for copy, held in enumerate(self.held[role]):
            gradients = torch.autograd.grad(loss, [*held.values()], retain_graph=True)
            self.held[role][copy] = {
                path: (value - RATES[role] * gradient).detach().requires_grad_()
                for (path, value), gradient in zip(held.items(), gradients, strict=True)
            }

    def reward(self, s: Tensor, t: Tensor, is_choice: bool) -> tuple[Tensor, Tensor]:
        z, delta = s[:, 4:], self.phi(t) - self.phi(s)
        if is_choice:
            z = (z - 1 / SKILL) * SKILL / (SKILL - 1)
        return (delta * z).sum(1), delta

    def update(
        self, data: Transitions, draws: dict[str, Tensor], is_choice: bool = False, is_sum: bool = False
    ) -> None:
        """The order of the released code."""
        s, a, _, bootstrap, t = (value[0].double() for value in data)
        reward, delta = self.reward(s, t, is_choice)
        length = (delta**2).sum(1) / (1 if is_sum else SKILL)
        slack = (1 - length).clip(max=1e-3)
        self.step("representation", -(reward + self.log_lambda.exp() * slack).mean())
        # d/d log lambda of log lambda * mean slack, on the slack before the step of phi.
        self.log_lambda = self.log_lambda - RATES["multiplier"] * slack.mean().detach()
        with torch.no_grad():
            reward, _ = self.reward(s, t, is_choice)
            b, log_pi = self.pi(t, draws["target"][0].double())
            y = reward + bootstrap * (self.q("target_critic", t, b).amin(0) - self.log_alpha.exp() * log_pi)
        self.step("critic", 0.5 * (self.q("critic", s, a) - y).square().mean(1).sum())
        b, log_pi = self.pi(s, draws["actor"][0].double())
        self.step("actor", (self.log_alpha.exp() * log_pi - self.q("critic", s, b).amin(0)).mean())
        target_entropy = -ACTIONS / 2
        self.log_alpha = self.log_alpha + RATES["temperature"] * (log_pi.detach().mean() + target_entropy)
        for target, online in zip(self.held["target_critic"], self.held["critic"], strict=True):
            for path, value in target.items():
                target[path] = 0.9 * value.detach() + 0.1 * online[path].detach()


def linear(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def mlp(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return linear(w, path, x).relu()


@pytest.mark.parametrize(("overrides", "is_choice", "is_sum"), [((), False, False), ((SUM, CHOICE), True, True)])
def test_an_update_is_that_of_the_released_code(overrides: tuple[str, ...], is_choice: bool, is_sum: bool) -> None:
    agent = learner(*overrides)
    with torch.no_grad():  # So that steps are long and short, and the multiplier matters.
        agent.networks["representation"].parameters["trunk.1.weight"].mul_(1.4)
        agent.scalars["multiplier"]["value"].fill_(math.log(2))
        agent.scalars["temperature"]["value"].fill_(math.log(0.3))
    plain, data, draws = Plain(agent), batch(agent, is_choice), noise(agent)
    _, delta = plain.reward(data.observation[0].double(), data.next_observation[0].double(), is_choice)
    is_long = (delta**2).sum(1) / (1 if is_sum else SKILL) > 1
    assert is_long.any() and not is_long.all()
    for step in range(2):
        data, draws = batch(agent, is_choice, step), noise(agent, step)
        agent.learn_with_noise([draws], [Minibatch(data)])
        plain.update(data, draws, is_choice, is_sum)
    for name, stack in {**agent.networks, **agent.averages}.items():
        for copy, held in enumerate(plain.held[name]):
            for path, value in held.items():
                found = stack.parameters[path][0, copy].double()
                torch.testing.assert_close(found, value.detach(), rtol=1e-4, atol=2e-6, msg=f"{name} {path}")
    found = [agent.scalars[name]["value"].item() for name in ("multiplier", "temperature")]
    assert found == pytest.approx([plain.log_lambda.item(), plain.log_alpha.item()], abs=1e-6)
    assert plain.log_lambda.item() != pytest.approx(math.log(2), abs=1e-4)


def test_reward_and_distance_by_hand() -> None:
    delta = torch.tensor([[3.0, -1.0, 2.0]], dtype=torch.float64)
    assert skill_reward(delta, torch.tensor([[0.5, 1.0, 0.0]]), False).tolist() == [0.5]
    # z = (1, 0, 0) becomes (2/3, -1/3, -1/3) * 3/2 = (1, -1/2, -1/2).
    assert skill_reward(delta, torch.tensor([[1.0, 0.0, 0.0]]).double(), True).tolist() == pytest.approx([2.5])
    assert skill_reward(delta[:, :1], torch.ones(1, 1).double(), True).tolist() == [0.0]
    assert squared_distance(delta, "sum").tolist() == [14.0]
    assert squared_distance(delta, "mean").tolist() == pytest.approx([14 / 3])


def test_the_constraint_has_a_gradient_only_where_steps_are_long_or_nearly_so() -> None:
    """And the multiplier falls, slowly, where all steps are shorter than the slack allows."""
    agent = learner()
    network = agent.networks["representation"].parameters
    with torch.no_grad():
        network["trunk.1.weight"].mul_(1e-3)
        agent.scalars["multiplier"]["value"].fill_(8.0)
    data = batch(agent)
    loss = agent.program.objectives[0].loss
    gradient = torch.autograd.grad(loss(agent.batch(data), {}, {}).sum(), network["trunk.1.weight"])[0]
    reward, _ = Plain(agent).reward(data.observation[0].double(), data.next_observation[0].double(), False)
    with torch.no_grad():
        agent.scalars["multiplier"]["value"].fill_(-8.0)
    alone = torch.autograd.grad(loss(agent.batch(data), {}, {}).sum(), network["trunk.1.weight"])[0]
    torch.testing.assert_close(gradient, alone)
    signals: dict[str, Tensor] = {}
    assert loss(agent.batch(data), {}, signals).item() == pytest.approx(-reward.mean().item() - math.exp(-8) * 1e-3)
    assert signals["representation/constraint"].item() == pytest.approx(1e-3)


def test_the_representation_sees_no_skill_and_normalisation_leaves_it_alone() -> None:
    agent = learner("normalization.observation={ kind = 'rs_norm' }")
    data = batch(agent)
    agent.observe(data.observation)
    seen = agent.batch(data)
    torch.testing.assert_close(seen.observation[..., 4:], data.observation[..., 4:], rtol=0, atol=0)
    torch.testing.assert_close(seen.observation[..., :4].mean(1), torch.zeros(1, 4), rtol=0, atol=1e-4)
    assert agent.outlines["representation"].input == (4,) and agent.outlines["actor"].input == (6,)


def test_updates_follow_whole_rollouts_once_enough_is_stored() -> None:
    clock = clock_of(blueprint_of())
    due = [clock.tick() for _ in range(42)]
    assert [index + 1 for index, count in enumerate(due) if count] == [20, 30, 40] and set(due) == {0, 3}
    # The released code: 10,000 transitions of 8 environments are there after 7 episodes of 200.
    published = clock_of(
        blueprint_of("algorithm.rollout_interactions=200", "algorithm.update_to_data=0.25", "environment.copies=8",
                     "algorithm.untrained_interactions=1_250")
    )  # fmt: skip
    due = [published.tick() for _ in range(1_600)]
    assert [index + 1 for index, count in enumerate(due) if count] == [1_400, 1_600] and max(due) == 50


def test_a_run_that_is_killed_between_updates_goes_on_to_the_bit(tmp_path: Path) -> None:
    """Two seeds, in mid-episode; evaluations report the coverage."""
    blueprint = blueprint_of("seeds=[0, 3]")
    run, parts = assemble.start(blueprint, tmp_path / "whole", None)
    go_on(parts)
    run.close()
    whole = run.path
    covered = [row["metrics"]["evaluation/coverage"] for row in rows(whole) if "evaluation/coverage" in str(row)]
    assert len(covered) == 4 and min(covered) >= 3
    broken = resumed(stopped(*assemble.start(blueprint, tmp_path / "broken", None), 96))
    assert result(broken) == result(whole)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("environment={ kind = 'point' }", "METRA needs a skill for every episode: write skills = { size = 2 }"),
        ("environment.skills.size=3", "gives [2], and a skill has 3 numbers: it must give [3]"),
        ("algorithm.n_step=2", "METRA's reward is that of one step: set 1"),
        ("normalization.reward={ kind = 'xqc' }", "METRA reads no reward of the environment: leave it out"),
        (
            "normalization.observation={ kind = 'fixed', mean = [0], deviation = [1] }",
            "has 4 numbers, and 'mean' has 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        blueprint_of(override)
    assert said in str(caught.value)
