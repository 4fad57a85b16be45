"""Proximal policy optimisation against its equations, written out here a second time: arXiv:1707.06347."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_rollouts import BOTH, CHOICES, learner, moved, tiny
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.replay.transitions import Transitions
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

B, PLAIN = 8, "normalization.observation={ kind = 'raw' }"
EXTRAS = ("advantage", "log_density", "return", "value")
Drawn = tuple[Transitions, dict[str, Tensor]]


def drawn(agent: Learner, kind: str, seed: int = 0, count: int = B) -> Drawn:
    """Observations, the agent's own draws at them, and extras as its present networks judge them."""
    generator = torch.Generator().manual_seed(seed)
    seeds = len(agent.seeds)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, count, *shape, generator=generator)

    observation, actions = draw(3), 3 if kind == "choices" else 2
    action = agent.program.act(observation, draw(actions)).detach()
    program: Any = agent.program
    with torch.no_grad():
        density, value = program.log_density(observation, action), program.value(observation)
    extra = {"advantage": draw(), "log_density": density, "return": draw(), "value": value}
    return Transitions(observation, action, draw(), torch.full((seeds, count), 0.9), draw(3)), extra


def losses(agent: Learner, given: Drawn) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    signals: dict[str, Tensor] = {}
    batch = Batch(*given[0], given[1])
    return {each.role: each.loss(batch, {}, signals) for each in agent.program.objectives}, signals


def density_of(agent: Learner, given: Drawn, kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Log-densities and entropies of one seed by torch.distributions, from the stacked network."""
    raw = agent.networks["actor"](given[0].observation)
    action = given[0].action[seed]
    if kind == "choices":
        choice = torch.distributions.Categorical(logits=raw[seed, 0])
        return choice.log_prob(action.argmax(-1)), choice.entropy()
    normal = torch.distributions.Normal(raw[0][seed, 0], raw[1][seed, 0].exp())
    return normal.log_prob(action).sum(-1), normal.entropy().sum(-1)


@pytest.mark.parametrize("kind", BOTH)
def test_the_first_ratio_is_one_and_its_gradient_that_of_the_policy(kind: str) -> None:
    """Eq. 1 of the paper: the gradient of ``mean log pi A``; nothing is clipped, and the divergence is 0."""
    agent = learner(PLAIN, "algorithm.entropy_bonus=0", *BOTH[kind])
    given = drawn(agent, kind)
    found, signals = losses(agent, given)
    assert torch.equal(signals["actor/kl"], torch.zeros(2)) and torch.equal(signals["actor/clipped"], torch.zeros(2))
    torch.testing.assert_close(found["actor"], -given[1]["advantage"].mean(1))
    parameters = [p for p in agent.parameters("actor").values() if p.requires_grad]
    ours = torch.autograd.grad(found["actor"].sum(), parameters)
    plain = sum(-(density_of(agent, given, kind, s)[0] * given[1]["advantage"][s]).mean() for s in range(2))
    assert isinstance(plain, Tensor)
    theirs = torch.autograd.grad(plain, parameters)
    assert any(gradient.abs().max() > 0.1 for gradient in ours)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", BOTH)
def test_the_clipped_objective_is_the_papers(kind: str) -> None:
    agent = learner(PLAIN, "algorithm.clip_ratio=0.1", "algorithm.entropy_bonus=0.3", *BOTH[kind])
    given = drawn(agent, kind)
    moved(agent)
    found, signals = losses(agent, given)
    for seed in range(2):
        density, entropy = density_of(agent, given, kind, seed)
        total, outside, divergence = 0.0, 0, 0.0
        for now, before, advantage in zip(
            density.tolist(), given[1]["log_density"][seed].tolist(), given[1]["advantage"][seed].tolist(), strict=True
        ):
            ratio = float(torch.tensor(now - before).exp())
            total += min(ratio * advantage, min(max(ratio, 0.9), 1.1) * advantage)
            outside += abs(ratio - 1) > 0.1
            divergence += ratio - 1 - (now - before)
        assert 0 < outside, "or nothing is tried"
        expected = -total / B - 0.3 * float(entropy.detach().mean())
        assert float(found["actor"][seed].detach()) == pytest.approx(expected, rel=1e-4)
        assert float(signals["actor/clipped"][seed]) == outside / B
        assert float(signals["actor/kl"][seed]) == pytest.approx(divergence / B, rel=1e-3)
        assert float(signals["actor/entropy"][seed]) == pytest.approx(float(entropy.detach().mean()), rel=1e-5)


def test_a_ratio_beyond_the_clip_is_followed_no_further() -> None:
    """Its gradient is 0 where the advantage would have it go on, and not where it would have it come back."""
    agent = learner(PLAIN, "algorithm.entropy_bonus=0", *CHOICES)
    transitions, extra = drawn(agent, "choices")
    for sign, reaches in ((1.0, False), (-1.0, True)):
        told = extra | {"log_density": extra["log_density"] - 0.5, "advantage": torch.full((2, B), sign)}
        found, signals = losses(agent, (transitions, told))
        assert torch.equal(signals["actor/clipped"], torch.ones(2))
        gradients = torch.autograd.grad(found["actor"].sum(), list(agent.parameters("actor").values()))
        assert any(bool(gradient.any()) for gradient in gradients) == reaches


@pytest.mark.parametrize("reach", [None, 0.05])
def test_values_are_clipped_where_it_is_asked_for(reach: float | None) -> None:
    agent = learner(PLAIN, *([] if reach is None else [f"algorithm.value_clip={reach}"]))
    given = drawn(agent, "numbers")
    moved(agent, by=0.1)
    found, signals = losses(agent, given)
    value = agent.networks["critic"](given[0].observation)[:, 0].detach()
    before, target = given[1]["value"], given[1]["return"]
    error = (value - target) ** 2
    if reach is not None:
        within = torch.maximum(torch.minimum(value, before + reach), before - reach)
        other = (within - target) ** 2
        assert (other > error).any() and (other < error).any(), "or nothing is tried"
        error = torch.maximum(error, other)
    torch.testing.assert_close(found["critic"].detach(), error.mean(1))
    explained = 1 - (target - before).var(1, correction=0) / target.var(1, correction=0)
    torch.testing.assert_close(signals["critic/explained_variance"], explained)


def test_a_critic_may_learn_a_distribution() -> None:
    """Its target is all mass at the return."""
    head = "networks.critic.head={ kind = 'categorical_value', atoms = 5, low = -2.0, high = 2.0 }"
    agent = learner(PLAIN, head)
    given = drawn(agent, "numbers")
    given[1]["return"].fill_(0.25)
    found, _ = losses(agent, given)
    logits = agent.networks["critic"](given[0].observation)[:, 0].log_softmax(-1)
    torch.testing.assert_close(found["critic"], -(0.75 * logits[..., 2] + 0.25 * logits[..., 3]).mean(1))


def test_clip_and_bonus_follow_their_schedules() -> None:
    horizon_schedules = [f"algorithm.{name}={{ kind = 'linear', start = 0.4, end = 0.2, updates = 10 }}"
               for name in ("clip_ratio", "entropy_bonus", "value_clip")]  # fmt: skip
    agent = learner(PLAIN, *horizon_schedules)
    constant = learner(PLAIN, *(f"algorithm.{name}=0.3" for name in ("clip_ratio", "entropy_bonus", "value_clip")))
    given = drawn(agent, "numbers")
    agent.updates.fill_(5)
    for each in (agent, constant):
        moved(each)
    for role, loss in losses(constant, given)[0].items():
        torch.testing.assert_close(losses(agent, given)[0][role], loss)
    agent.updates.fill_(0)
    assert not torch.equal(losses(agent, given)[0]["actor"], losses(constant, given)[0]["actor"])


def test_a_draw_is_of_the_policy_and_may_leave_the_box() -> None:
    agent = learner(PLAIN, "networks.actor.head.initial_log_std=1.0")
    observation, noise = torch.randn(2, 4, 3), torch.randn(2, 4, 2)
    mean, log_std = agent.networks["actor"](observation)
    found = agent.program.act(observation, noise)
    torch.testing.assert_close(found, mean[:, 0] + log_std[:, 0].exp() * noise)
    assert (found.abs() > 1).any() and (agent.program.to_env_action(found).abs() <= 1).all()
    quiet = agent.program.act(10 * observation, None)
    assert torch.equal(quiet, agent.networks["actor"](10 * observation)[0][:, 0].clamp(-1, 1))


def step(agent: Learner, given: Drawn) -> None:
    agent.update(*given)


def agree(agent: Learner, other: Learner, seed: int | None = None) -> None:
    theirs = other.tensors()
    for name, value in agent.tensors().items():
        part = (
            theirs[name] if seed is None else theirs[name].movedim(-1 if name == "signals" else 0, 0)[seed : seed + 1]
        )
        ours = value if seed is None else value.movedim(-1 if name == "signals" else 0, 0)
        torch.testing.assert_close(ours, part, rtol=2e-4, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("kind", BOTH)
def test_a_seed_among_others_learns_as_it_would_alone(kind: str) -> None:
    together, alone = learner(*BOTH[kind]), learner("seeds=[5]", *BOTH[kind])
    given = drawn(together, kind)
    for _ in range(3):
        step(together, given)
        step(alone, (Transitions(*(v[1:] for v in given[0])), {n: v[1:] for n, v in given[1].items()}))
    agree(alone, together, seed=1)


@pytest.mark.slow
def test_the_compiled_update_is_the_eager_one() -> None:
    """With gradients long enough to be shortened, and clipped values."""
    options = ("algorithm.value_clip=0.1", "optimizers.actor.max_gradient_norm=0.01")
    eager, compiled = learner(*options), learner(*options, choice=Choice(True, "a test"))
    for number in range(3):
        given = drawn(eager, "numbers", seed=number)
        step(eager, given)
        step(compiled, given)
    agree(eager, compiled)


def test_operations_are_counted_as_torch_counts_them() -> None:
    """Three passes, but none to the input of the first layer."""
    agent = learner(PLAIN, "seeds=[0]")
    given = drawn(agent, "numbers")
    with FlopCounterMode(display=False) as counter:
        agent.compute_update(*given[0], *given[1].values())
    sizes = {
        role: [v[0, 0].numel() for path, v in agent.parameters(role).items() if v.ndim == 4] for role in agent.networks
    }
    expected = sum(2 * B * (3 * sum(each) - each[0]) for each in sizes.values())
    assert counter.get_total_flops() == expected
    assert [each.passes.value for each in tiny().algorithm.evaluations()] == [3, 3]


PROBLEMS = {
    "algorithm.minibatches: 8 interactions x 2 copies = 16 transitions cannot be dealt into 3 equal": [
        "algorithm.minibatches=3"
    ],
    "algorithm.batch_size: 8 interactions x 3 copies = 24 transitions in 2 minibatches are 12 each: write 12": [
        "environment.copies=3"
    ],
    "replay: PPO learns from its last rollout and keeps no replay": ["replay.capacity=1_000"],
    "networks.actor.head: PPO's actor needs a head that gives 'gaussian': 'bounded_normal', 'gaussian_policy'; 'cat": [
        "networks.actor.head={ kind = 'categorical_policy' }"
    ],
    "networks.actor.head: PPO's actor needs a head that gives 'action_logits': 'categorical_policy'": [CHOICES[0]],
    "networks.critic.copies: PPO has one critic, got 2": ["networks.critic.copies=2"],
    "algorithm.value_clip: needs the critic's head 'scalar'": [
        "algorithm.value_clip=0.1", "networks.critic.head={ kind = 'quantile', quantiles = 4 }"
    ],
    "training.acting.actor: PPO learns from actions of its own actor": [
        "averages={ slow = { of = 'actor', momentum = 0.9 } }", "training.acting={ actor = 'slow' }"
    ],
    "algorithm.clip_ratio: must be > 0, got 0": ["algorithm.clip_ratio=0"],
}  # fmt: skip


@pytest.mark.parametrize("message", PROBLEMS)
def test_what_does_not_fit_is_said(message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(*PROBLEMS[message])
    assert message in str(caught.value)
