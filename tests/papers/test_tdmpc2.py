"""TD-MPC2 written out a second time in float64, without the program's code: arXiv:2310.16828 and its released code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import EAGER, go_on, result, resumed, stopped
from torch import Tensor
from torch.nn import functional

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.clock import clock_of
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).parent.parent / "tiny_tdmpc2.toml"
SHIPPED = TINY.parent.parent / "blueprints" / "dmc" / "tdmpc2.toml"
B, H, A, Z, BINS, CRITICS, GAMMA, RHO = 16, 3, 2, 8, 11, 5, 0.9, 0.5
WITHOUT_DROPOUT = "networks.critic.trunk.dropout=0.0"
MODEL = ("encoder", "dynamics", "reward", "critic")


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    return Learner(blueprint_of(*overrides).agent, "cpu", choice)


def batch(seeds: int = 1, seed: int = 0) -> Minibatch:
    """Windows of ``test/drift``'s shapes; some are cut by a termination, some by the end of an episode."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, B, *shape, generator=generator)

    observations, actions, rewards = draw(H, 3), draw(H, A).tanh(), 3 * draw(H)
    terminated, alive = torch.zeros(seeds, B, H), torch.ones(seeds, B, H)
    terminated[:, 0, 0] = terminated[:, 1, 1] = terminated[:, 2, 2] = 1
    alive[:, 0, 1:] = alive[:, 1, 2:] = alive[:, 3, 1:] = 0
    bootstrap = GAMMA * (1 - terminated[..., 0])
    transitions = Transitions(draw(3), actions[:, :, 0], rewards[:, :, 0], bootstrap, observations[:, :, 0])
    names = ("observation", "action", "reward", "terminated", "alive")
    parts = (observations, actions, rewards, terminated, alive)
    return Minibatch(transitions, {f"future/{name}": part for name, part in zip(names, parts, strict=True)})


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = (len(agent.seeds), B)
    return {name: torch.randn(*rows, *shape, generator=generator) for name, shape in agent.program.noise.items()}


def updated(agent: Learner, updates: int) -> Learner:
    for step in range(updates):
        agent.learn([batch(len(agent.seeds), 100 + step)])
    return agent


def symlog(x: Tensor) -> Tensor:
    return x.sign() * (1 + x.abs()).log()


def two_hot(x: Tensor) -> Tensor:
    """Bins from -3 to 3 in symlog space, one number at a time."""
    rows, width = [], 6 / (BINS - 1)
    for value in symlog(x).clip(-3, 3).flatten().tolist():
        row, at = [0.0] * BINS, (value + 3) / width
        low = min(math.floor(at), BINS - 2)
        row[low], row[low + 1] = 1 - (at - low), at - low
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64).view(*x.shape, BINS)


def decoded(logits: Tensor) -> Tensor:
    mean = (logits.softmax(-1) * torch.linspace(-3, 3, BINS, dtype=torch.float64)).sum(-1)
    return mean.sign() * (mean.abs().exp() - 1)


def cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    return -(two_hot(x) * logits.log_softmax(-1)).sum(-1)


class Plain:
    """The networks of one seed, layer by layer, on the parameters of a learner in float64."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        self.held = {
            name: [
                {path: value[seed, copy].detach().double().requires_grad_() for path, value in stack.parameters.items()}
                for copy in range(stack.copies)
            ]
            for name, stack in {**agent.networks, **agent.averages}.items()
        }

    def encode(self, o: Tensor) -> Tensor:
        return self._latent(self.held["encoder"][0], "trunk.0.0.{}", 1, o)

    def next(self, z: Tensor, a: Tensor) -> Tensor:
        return self._latent(self.held["dynamics"][0], "trunk.0.{}.{}", 2, torch.cat([z, a], -1))

    def reward(self, z: Tensor, a: Tensor) -> Tensor:
        w = self.held["reward"][0]
        return linear(w, "head.linear", layers(w, "trunk.{}.{}", 2, torch.cat([z, a], -1)))

    def q(self, name: str, z: Tensor, a: Tensor) -> Tensor:
        found = []
        for w in self.held[name]:
            x = linear(w, "trunk.0", torch.cat([z, a], -1))
            x = functional.mish(norm(w, "trunk.2", x))
            x = functional.mish(norm(w, "trunk.4.1", linear(w, "trunk.4.0", x)))
            found.append(linear(w, "head.linear", x))
        return torch.stack(found)

    def pi(self, z: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        w = self.held["actor"][0]
        x = layers(w, "trunk.{}.{}", 2, z)
        log_std = -10 + 6 * (1 + linear(w, "head.log_std", x).tanh())
        return (linear(w, "head.mean", x) + log_std.exp() * eps).tanh(), log_std

    def _latent(self, w: dict[str, Tensor], path: str, depth: int, x: Tensor) -> Tensor:
        x = norm(w, "trunk.2", linear(w, "trunk.1", layers(w, path, depth, x)))
        return torch.cat([group.softmax(-1) for group in x.split(8, -1)], -1)


def layers(w: dict[str, Tensor], path: str, depth: int, x: Tensor) -> Tensor:
    for index in range(depth):
        place = [path.format(part) if path.count("{}") == 1 else path.format(index, part) for part in (0, 1)]
        x = functional.mish(norm(w, place[1], linear(w, place[0], x)))
    return x


def linear(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def norm(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{path}.weight"] + w[f"{path}.bias"]


def model_loss(p: Plain, data: Minibatch, draws: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The loss of encoder, dynamics, reward and critics, and the latents of its unroll."""
    o, seen = data.transitions.observation[0].double(), {k: v[0].double() for k, v in data.extra.items()}
    a, r, ended, alive = (seen[f"future/{name}"] for name in ("action", "reward", "terminated", "alive"))
    pair = draws["pair/target"][0, 0].argsort()[:2]
    z, total, latents = p.encode(o), torch.zeros((), dtype=torch.float64), []
    latents.append(z)
    for t in range(H):
        with torch.no_grad():
            goal = p.encode(seen["future/observation"][:, t])
            b, _ = p.pi(goal, draws["target"][0, :, t].double())
            y = r[:, t] + GAMMA * (1 - ended[:, t]) * decoded(p.q("target_critic", goal, b)[pair]).amin(0)
        reward = cross_entropy(p.reward(z, a[:, t]), r[:, t])
        value = sum(cross_entropy(q, y) for q in p.q("critic", z, a[:, t])) / CRITICS
        z = p.next(z, a[:, t])
        latents.append(z)
        each = 20 * (z - goal).square().mean(-1) + 0.1 * reward + 0.1 * value
        total = total + RHO**t / H * (alive[:, t] * each).mean()
    return total, latents


def actor_loss(
    p: Plain, latents: list[Tensor], data: Minibatch, draws: dict[str, Tensor], scale: float, squashes: bool
) -> tuple[Tensor, float]:
    """The loss of the policy, and the new scale of values."""
    pair, total = draws["pair/actor"][0, 0].argsort()[:2], torch.zeros((), dtype=torch.float64)
    alive = torch.cat([torch.ones(B, 1), data.extra["future/alive"][0]], -1).double()
    for t, z in enumerate(latents):
        eps = draws["actor"][0, :, t].double()
        b, log_std = p.pi(z.detach(), eps)
        q = decoded(p.q("critic", z.detach(), b)[pair]).mean(0)
        if t == 0:
            low, high = np.percentile(q.detach().numpy(), [5, 95])
            scale += 0.01 * (max(high - low, 1.0) - scale)
        gaussian = torch.distributions.Normal(torch.zeros_like(eps), log_std.exp()).log_prob(log_std.exp() * eps)
        entropy = -A * gaussian.sum(-1)
        if squashes:
            entropy = entropy + (1 - b.square() + 1e-6).log().sum(-1)
        total = total - RHO**t / (H + 1) * (alive[:, t] * (1e-4 * entropy + q / scale)).mean()
    return total, scale


class Adam:
    """On the parameters of one role, from its first step on."""

    def __init__(self, rate: float, epsilon: float) -> None:
        self.rate, self.epsilon, self.count = rate, epsilon, 0
        self.moments: dict[int, tuple[Tensor, Tensor]] = {}

    def step(self, parameters: list[Tensor], gradients: list[Tensor]) -> None:
        self.count += 1
        for index, (value, g) in enumerate(zip(parameters, gradients, strict=True)):
            m, v = self.moments.get(index, (torch.zeros_like(g), torch.zeros_like(g)))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.square()
            self.moments[index] = m, v
            root = (v / (1 - 0.999**self.count)).sqrt() + self.epsilon
            value.data -= self.rate * m / (1 - 0.9**self.count) / root


def clipped(gradients: list[Tensor], bound: float) -> list[Tensor]:
    size = math.sqrt(sum(g.square().sum().item() for g in gradients))
    return [g * min(1.0, bound / (size + 1e-6)) for g in gradients]


def of(p: Plain, roles: tuple[str, ...]) -> list[Tensor]:
    return [value for role in roles for held in p.held[role] for value in held.values()]


@pytest.mark.parametrize("squashes", [False, True])
def test_updates_are_those_of_the_released_code(squashes: bool) -> None:
    """Three whole updates: targets, unroll, losses, one bound of the model's gradient that binds, the policy after the
    model's step on latents from before it, the running scale, Adam, the target's average."""
    bound = 0.05
    change = (WITHOUT_DROPOUT, f"algorithm.squash_entropy={str(squashes).lower()}", "algorithm.first_updates=0")
    agent = learner(*change, f"algorithm.max_model_gradient_norm={bound}")
    updated(agent, 2)  # So that neither rewards nor values are as flat as they were drawn.
    scales = agent.built.tensors["scale"]
    scales.fill_(0.5)  # As no run has it; a scale of 1 would hide how it moves.
    for each in agent.optimizers.values():
        for value in each.tensors().values():
            value.zero_()
    p, scale = Plain(agent), 0.5
    rates = {"encoder": 1e-3, **dict.fromkeys((*MODEL[1:], "actor"), 3e-3)}
    adams = {role: Adam(rate, 1e-5 if role == "actor" else 1e-8) for role, rate in rates.items()}
    for step in range(3):
        data, draws = batch(1, step), noise(agent, step)
        agent.learn_with_noise([draws], [data])
        loss, latents = model_loss(p, data, draws)
        gradients = torch.autograd.grad(loss, of(p, MODEL))
        assert math.sqrt(sum(g.square().sum().item() for g in gradients)) > bound
        ready = iter(clipped(list(gradients), bound))
        for role in MODEL:
            adams[role].step(of(p, (role,)), [next(ready) for _ in of(p, (role,))])
        loss, scale = actor_loss(p, latents, data, draws, scale, squashes)
        adams["actor"].step(of(p, ("actor",)), list(torch.autograd.grad(loss, of(p, ("actor",)))))
        for target, source in zip(of(p, ("target_critic",)), of(p, ("critic",)), strict=True):
            target.data = 0.9 * target.data + 0.1 * source.data
        assert scales.item() == pytest.approx(scale, rel=1e-6)
        for name, copies in p.held.items():
            stack = agent.networks.get(name) or agent.averages[name]
            for copy, held in enumerate(copies):
                for path, value in held.items():
                    mine = stack.parameters[path][0, copy].double()
                    torch.testing.assert_close(mine, value.detach(), rtol=1e-4, atol=2e-5, msg=f"{step} {name} {path}")


def test_the_first_predictions_are_zero_and_the_scale_begins_at_one() -> None:
    zeros = "head={ kind = 'two_hot_value', bins = 11, low = -3, high = 3, weight = { kind = 'zeros' } }"
    agent = learner(f"networks.reward.{zeros}", f"networks.critic.{zeros}")
    signals: dict[str, Tensor] = {}
    data = batch()
    seen = agent.batch(data.transitions, data.extra)
    for objective in agent.program.objectives:
        objective.loss(seen, noise(agent), signals)
    assert signals["critic/value"].abs().item() < 1e-6 and signals["actor/scale"].item() == 1.0


def test_critics_drop_units_in_the_losses_alone() -> None:
    """In the policy's loss too, as in the released code; never in targets or plans, and other units at each draw."""
    heavy, none = learner("networks.critic.trunk.dropout=0.9"), learner(WITHOUT_DROPOUT)
    data, draws = batch(), noise(heavy)
    losses: list[list[float]] = []
    for agent in (none, heavy, heavy):
        signals: dict[str, Tensor] = {}
        seen = agent.batch(data.transitions, data.extra)
        losses.append([each.loss(seen, draws, signals).item() for each in agent.program.objectives])
    for index in range(2):
        assert len({each[index] for each in losses}) == 3
    observation = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    plans = []
    for agent in (none, heavy):
        row = torch.randn(1, 4, *agent.program.evaluation_noise, generator=torch.Generator().manual_seed(1))
        starts, plan = torch.ones(1, 4) > 0, {"plan": torch.zeros(1, 4, H, A)}
        plans.append(agent.program.evaluate_from_memory(observation, row, starts, plan)[0])
    assert torch.equal(*plans)


def test_without_a_planner_the_policy_acts_and_is_exported() -> None:
    agent = learner("~algorithm.planning")
    assert "evaluations plan with the model" in learner().program.export_problem and not agent.program.export_problem
    p, o = Plain(agent), torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    eps = torch.randn(1, 4, A, generator=torch.Generator().manual_seed(1))
    drawn, _ = p.pi(p.encode(o[0].double()), eps[0].double())
    mode, _ = p.pi(p.encode(o[0].double()), torch.zeros(4, A))
    torch.testing.assert_close(agent.program.act(o, eps)[0].double(), drawn.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(agent.act(o, explore=False)[0].double(), mode.detach(), rtol=1e-5, atol=1e-6)


def test_the_clock_makes_the_first_updates_at_once() -> None:
    clock = clock_of(blueprint_of("algorithm.first_updates=7", "algorithm.update_to_data=0.5"))
    counts = [clock.updates_after(interactions) for interactions in range(19, 27)]
    assert counts == [0, 0, 7, 7, 8, 8, 9, 9]
    for update in range(1, 10):
        step = clock.env_step_of(update, 200)
        assert step is not None and clock.updates_by(step) >= update > clock.updates_by(step - 1)


def test_a_run_resumes_to_the_bit_and_seeds_keep_to_themselves(tmp_path: Path) -> None:
    """Stopped within an episode, whose next plan begins at the one before."""
    run, session = assemble.start(blueprint_of("seeds=[0, 3]"), tmp_path / "whole", None)
    go_on(session)
    run.close()
    cut, half = assemble.start(blueprint_of("seeds=[0, 3]"), tmp_path / "cut", None)
    assert result(resumed(stopped(cut, half, 41))) == result(run.path)
    alone, one = assemble.start(blueprint_of("seeds=[3]"), tmp_path / "alone", None)
    go_on(one)
    alone.close()
    for name, value in one.learner.tensors().items():
        if name != "signals":
            torch.testing.assert_close(value[0], session.learner.tensors()[name][1], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_agree() -> None:
    """Alone compiles TD-MPC2's update, of both objectives and with dropout; slow for the compiler."""
    torch.compiler.reset()
    plain = [f"optimizers.{role}={{ kind = 'sgd', learning_rate = 1e-2 }}" for role in (*MODEL, "actor")]
    compiled, eager = (learner(*plain, choice=Choice(each, "a test")) for each in (True, False))
    for agent in (compiled, eager):
        updated(agent, 3)
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("algorithm.n_step=3", "TD-MPC2's targets have one reward each"),
        ("networks.dynamics.trunk.latent=16", r"it must give a latent as the encoder does, \[8\], and gives \[16\]"),
        ("algorithm.discount={ kind = 'lengthening', start = 0.9, end = 0.99, updates = 9 }", "with one discount"),
        (
            "optimizers.reward={ kind = 'sam', base = { kind = 'adam' } }",
            "several networks by one loss, which 'sam' cannot",
        ),
    ],
)
def test_what_cannot_be_is_refused(change: str, message: str) -> None:
    with pytest.raises(BlueprintError, match=message):
        blueprint_of(change)


@pytest.mark.parametrize(
    ("variant", "millions"),
    [
        (None, {"encoder": 0.14, "dynamics": 0.79, "reward": 0.58, "actor": 0.53, "critic": 2.91, "all": 4.96}),
        ("1m", {"all": 1.21}),
    ],
)
def test_published_sizes(variant: str | None, millions: dict[str, float]) -> None:
    """At 24 observed numbers and 6 actions, those of walker-walk; target critics left out."""
    agent = load(SHIPPED, variant=variant, is_to_run=False).blueprint.agent
    counts = {role: agent.networks[role].copies * each.count() for role, each in agent.sound_outlines.items()}
    counts["all"] = sum(counts.values())
    assert {role: round(counts[role] / 1e6, 2) for role in millions} == millions
