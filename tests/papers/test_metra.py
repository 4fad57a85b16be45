"""METRA written out a second time in float64, without the program's code: arXiv:2310.08887 and its released code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from metra_reference import ACTIONS, BATCH, RATES, SKILL, Plain, blueprint_of, noise
from tiny_runs import EAGER, go_on, result, resumed, rows, stopped
from torch import Tensor

from composer.algorithms.metra_losses import skill_reward, squared_distance
from composer.blueprint import BlueprintError
from composer.blueprint.forecast.clock import clock_of
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

SUM = "algorithm.distance='sum'"
CHOICE = "environment.skills={ size = 2, distribution = 'one_hot' }"


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
    plain.equals(agent)
    assert plain.log_lambda.item() != pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_agree_in_all_that_counts() -> None:
    """But for one bias of the representation: it cancels in p(s') - p(s), and Adam moves it by the sign of rounding."""
    torch.compiler.reset()
    adam = [f"optimizers.{role}={{ kind = 'adam', learning_rate = 1e-3 }}" for role in RATES]
    compiled, eager = (Learner(blueprint_of(*adam).agent, "cpu", Choice(each, "a test")) for each in (True, False))
    for agent in (compiled, eager):
        for step in range(3):
            agent.learn_with_noise([noise(agent, step)], [Minibatch(batch(agent, seed=step))])
    held, wanted = compiled.tensors(), eager.tensors()
    cancels = "networks/representation/trunk.1.bias"
    assert cancels in held
    for name in held.keys() - {cancels}:
        torch.testing.assert_close(held[name], wanted[name], rtol=2e-3, atol=2e-4, msg=name)


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
