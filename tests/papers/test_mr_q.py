"""MR.Q written out a second time in float64, without the program's code: arXiv:2501.16142 and its released code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_deterministic import BATCH, batch, noise, state
from tiny_runs import EAGER, go_on, interactions, result, resumed, stopped
from torch import Tensor, nn

from composer.algorithms.program import Batch
from composer.blueprint import Blueprint, BlueprintError, load
from composer.replay.transitions import BurstMinibatch, Minibatch, Transitions
from composer.spec.package_files import blueprints_root
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner
from composer.training.loop import training_steps
from composer.training.population.stack import Stack

TINY = Path(__file__).parent.parent / "tiny_mr_q.toml"
CYCLE, HORIZON, LATENT = 5, 3, 6
ENCODERS = ("state_encoder", "state_action_encoder", "model")
ONES = {"weight": torch.ones(1, BATCH)}
BINS = torch.sign(x := torch.linspace(-10, 10, 65, dtype=torch.float64)) * torch.expm1(x.abs())


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    return Learner(blueprint_of(*overrides).agent, "cpu", choice)


def future(seeds: int = 1, seed: int = 3) -> dict[str, Tensor]:
    """The three steps after each sample: some terminate, some are cut by a time limit, the rest goes on."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, HORIZON, *shape, generator=generator)

    alive, terminated = torch.ones(seeds, BATCH, HORIZON), torch.zeros(seeds, BATCH, HORIZON)
    alive[:, ::4, 1:], terminated[:, ::4, 0] = 0, 1
    alive[:, 1::4, 2:] = 0
    reward = draw() * torch.tensor([1.0, 30.0, 4e3])
    found = {"action": draw(2).tanh(), "observation": draw(3), "reward": reward, "terminated": terminated}
    return {f"future/{name}": value for name, value in {**found, "alive": alive}.items()}


def updated(agent: Learner, updates: int, seed: int = 100) -> Learner:
    """So many updates, each after one of encoders and model: averages lag, and no two networks are alike."""
    seeds, program = len(agent.seeds), agent.program
    for step in range(updates):
        if step % CYCLE == 0:
            program.begin_burst(torch.full((seeds,), 0.5 + step), torch.ones(seeds))
        data = batch(seeds, seed + step)
        agent.learn([BurstMinibatch(data, future(seeds, seed + step))])
        agent.update(data, {"weight": torch.ones(seeds, BATCH)})
    return agent


class Plain:
    """The networks of one seed by name, as the code draws them, on the parameters of a learner in float64."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        self.held = {
            name: [
                {path: value[seed, copy].detach().double().requires_grad_() for path, value in stack.parameters.items()}
                for copy in range(stack.copies)
            ]
            for name, stack in {**agent.networks, **agent.averages}.items()
        }

    def f(self, name: str, s: Tensor) -> Tensor:
        w = self.held[name][0]
        return norm_elu(linear(w, "trunk.1.0", norm_elu(linear(w, "trunk.0.0", s))))

    def g(self, name: str, z: Tensor, a: Tensor) -> Tensor:
        w = self.held[name][0]
        x = torch.cat([nn.functional.elu(linear(w, "trunk.0.block.0", a)), z], -1)
        return linear(w, "trunk.2", norm_elu(linear(w, "trunk.1.1.0", norm_elu(linear(w, "trunk.1.0.0", x)))))

    def pi(self, name: str, z: Tensor) -> Tensor:
        """Before the tanh."""
        w = self.held[name][0]
        x = linear(w, "trunk.0.0", z)
        return linear(w, "head.linear", nn.functional.layer_norm(x, x.shape[-1:]).relu())

    def q(self, name: str, z_sa: Tensor) -> Tensor:
        return torch.stack(
            [linear(w, "head.linear", norm_elu(linear(w, "trunk.0.0", z_sa))).squeeze(-1) for w in self.held[name]]
        )


def linear(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def norm_elu(x: Tensor) -> Tensor:
    return nn.functional.elu(nn.functional.layer_norm(x, x.shape[-1:]))


def two_hot(reward: float) -> Tensor:
    """Linear between the two raw bins that are nearest."""
    upper = int(torch.searchsorted(BINS, torch.tensor(reward, dtype=torch.float64)))
    share = (reward - BINS[upper - 1]) / (BINS[upper] - BINS[upper - 1])
    found = torch.zeros(65, dtype=torch.float64)
    found[upper - 1], found[upper] = 1 - share, share
    return found


def encoder_loss(p: Plain, s: Tensor, ahead: dict[str, Tensor], terminates: float) -> Tensor:
    """Sample by sample, as the code says it: what comes after a termination is masked, and the mean is over all."""
    action, observed, reward, ends, alive = (value[0].double() for value in ahead.values())
    total = torch.zeros((), dtype=torch.float64)
    for n in range(BATCH):
        z, counts = p.f("state_encoder", s[n]), 1.0
        for k in range(HORIZON):
            out = linear(p.held["model"][0], "trunk", p.g("state_action_encoder", z, action[n, k]))
            done, z, logits = out[0], out[1 : 1 + LATENT], out[1 + LATENT :]
            with torch.no_grad():
                goal = p.f("target_state_encoder", observed[n, k])
            cross = -(two_hot(float(reward[n, k])) * logits.log_softmax(-1)).sum()
            each = (z - goal).square().mean() + 0.1 * cross + 0.1 * terminates * (done - ends[n, k]).square()
            total = total + counts * each / BATCH
            counts *= float(k + 1 < HORIZON and alive[n, k + 1])
    return total


def rl_losses(
    p: Plain, data: Transitions, draws: Tensor, scale: float, previous: float
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The losses by role, and the errors of the stored actions and of the policy's."""
    s, a, r, bootstrap, t = (value[0].double() for value in data)
    eps = (0.2 * draws[0].double()).clip(-0.3, 0.3)
    with torch.no_grad():
        z_t = p.f("target_state_encoder", t)
        b = (p.pi("target_actor", z_t).tanh() + eps).clip(-1, 1)
        value = p.q("target_critic", p.g("target_state_action_encoder", z_t, b)).amin(0)
        y = (r + bootstrap * value * previous) / scale
        z = p.f("state_encoder", s)
    q = p.q("critic", p.g("state_action_encoder", z, a).detach())
    raw = p.pi("actor", z)
    of_policy = p.q("critic", p.g("state_action_encoder", z, raw.tanh()))
    critic = nn.functional.smooth_l1_loss(q, y.expand_as(q))
    actor = -of_policy.mean() + 1e-5 * raw.square().mean()
    return {"critic": critic, "actor": actor}, (q - y).abs().amax(0), (of_policy - y).abs().amax(0)


@pytest.mark.parametrize("terminates", [0.0, 1.0])
def test_the_encoders_loss_and_its_gradients(terminates: float) -> None:
    agent = updated(learner(), CYCLE + 2)
    agent.built.tensors["terminates"].fill_(terminates)
    plain, data, ahead = Plain(agent), batch(), future()
    wanted = encoder_loss(plain, data.observation[0].double(), ahead, terminates)
    objective = agent.program.objectives[0]
    assert objective.roles == ENCODERS and objective.in_bursts
    found = objective.loss(Batch(*data, ahead), {}, {})[0]
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
    compare_gradients(agent, plain, found, wanted, ENCODERS)


def test_losses_and_gradients_of_critics_and_actor_and_both_priorities() -> None:
    """With averages that lag, and scales of rewards that differ."""
    for by in ("stored_action", "policy_action"):
        agent = updated(learner(f"algorithm.priority='{by}'"), 2 * CYCLE + 3)
        scale, previous = (float(agent.built.tensors[name]) for name in ("reward_scale", "target_reward_scale"))
        assert (scale, previous) == (10.5, 5.5)
        data, draws, plain = batch(), noise(agent), Plain(agent)
        assert set(draws) == {"target"} and (0.2 * draws["target"].abs() > 0.3).any()
        wanted, stored, policy = rl_losses(plain, data, draws["target"], scale, previous)
        signals: dict[str, Tensor] = {}
        for objective in agent.program.objectives[1:]:
            found = objective.loss(Batch(*data, ONES), draws, signals)[0]
            torch.testing.assert_close(found.double(), wanted[objective.role], rtol=1e-5, atol=1e-6)
            compare_gradients(agent, plain, found, wanted[objective.role], objective.roles)
            encoders = [value for role in ENCODERS for value in agent.networks[role].parameters.values()]
            reached = torch.autograd.grad(found, encoders, allow_unused=True, retain_graph=True)
            assert objective.role == "actor" or all(each is None for each in reached)
        errors = stored if by == "stored_action" else policy
        torch.testing.assert_close(signals["priority"][0].double(), errors, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bound", [20.0, 0.02])
def test_whole_updates_of_encoders_critics_and_actor(bound: float) -> None:
    """Three bursts of one update and three updates by hand: losses, one norm over both critics, AdamW, their order."""
    agent = learner(f"optimizers.critic.max_gradient_norm={bound}")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for average in agent.averages.values():  # They lag: no two networks are alike.
            for value in average.parameters.values():
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    plain, rule, norms = Plain(agent), AdamW(3e-3, 1e-4), []
    agent.program.begin_burst(torch.full((1,), 0.5), torch.ones(1))
    for step in range(3):
        data, ahead, draws = batch(1, step), future(1, step), noise(agent, step)
        agent.learn([BurstMinibatch(data, ahead)])
        agent.learn_with_noise([draws], [Minibatch(data, ONES)])
        rule.step(plain, ENCODERS, encoder_loss(plain, data.observation[0].double(), ahead, 1.0))
        for role in ("critic", "actor"):
            losses, *_ = rl_losses(plain, data, draws["target"], 0.5, 1.0)
            norms.append(rule.step(plain, (role,), losses[role], bound if role == "critic" else math.inf))
    assert (max(norms[::2]) < bound) is (bound == 20)
    for role in (*ENCODERS, "critic", "actor"):
        for path, value in agent.networks[role].parameters.items():
            wanted = torch.stack([held[path].detach() for held in plain.held[role]])
            torch.testing.assert_close(value[0].double(), wanted, rtol=1e-4, atol=2e-6, msg=f"{role} {path}")


class AdamW:
    """Algorithm 2 of arXiv:1711.05101 with a constant rate, on the tensors of ``Plain``."""

    def __init__(self, rate: float, decay: float) -> None:
        self.rate, self.decay = rate, decay
        self.held: dict[tuple[str, int, str], tuple[Tensor, Tensor, int]] = {}

    def step(self, plain: Plain, roles: tuple[str, ...], loss: Tensor, bound: float = math.inf) -> float:
        """Returns the norm of the whole gradient, which ``bound`` limits."""
        names = [(role, copy, path) for role in roles for copy, w in enumerate(plain.held[role]) for path in w]
        gradients = torch.autograd.grad(loss, [plain.held[role][copy][path] for role, copy, path in names])
        norm = math.sqrt(sum(float(each.square().sum()) for each in gradients))
        for name, raw in zip(names, gradients, strict=True):
            gradient = raw * min(1.0, bound / norm)
            first, second, count = self.held.get(name, (torch.zeros(()), torch.zeros(()), 0))
            first, second, count = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2, count + 1
            self.held[name] = first, second, count
            change = first / (1 - 0.9**count) / ((second / (1 - 0.999**count)).sqrt() + 1e-8)
            with torch.no_grad():
                value = plain.held[name[0]][name[1]][name[2]]
                value.mul_(1 - self.rate * self.decay).sub_(self.rate * change)
        return norm


def compare_gradients(agent: Learner, plain: Plain, found: Tensor, wanted: Tensor, roles: tuple[str, ...]) -> None:
    for role in roles:
        mine = agent.networks[role].parameters
        gradients = torch.autograd.grad(found, list(mine.values()), retain_graph=True)
        for copy, held in enumerate(plain.held[role]):
            theirs = torch.autograd.grad(wanted, [held[path] for path in mine], retain_graph=True)
            for path, one, other in zip(mine, gradients, theirs, strict=True):
                torch.testing.assert_close(one[0, copy].double(), other, rtol=2e-3, atol=2e-6, msg=f"{role} {path}")


def test_order_of_events_over_the_first_cycles(tmp_path: Path) -> None:
    """Before updates 0, 5, 10: copies, the scale of rewards, then five updates of encoders and model alone."""
    run, session = assemble.start(blueprint_of(), tmp_path, None)
    agent, ring, events = session.learner, session.collector.replay, []
    learn, scales = agent.learn, [0.0, 1.0]

    def watched(batches: list[Minibatch]) -> None:
        (drawn,), before = batches, state(agent)
        if drawn.in_burst and events[-1:] != ["burst"]:
            size = float(ring.rewards_held()[0])
            scales.append(size)
            held = agent.built.tensors
            assert [float(held[f"{name}reward_scale"]) for name in ("target_", "")] == pytest.approx(scales[-2:])
            for role in ("state_encoder", "state_action_encoder", "actor", "critic"):
                average = agent.averages[f"target_{role}"].parameters
                assert all(torch.equal(average[path], value) for path, value in agent.networks[role].parameters.items())
        learn(batches)
        after = agent.tensors()
        moved = {
            name.split("/")[1]
            for name, value in before.items()
            if name.startswith("networks/") and not torch.equal(value, after[name])
        }
        assert moved == set(ENCODERS if drawn.in_burst else ("actor", "critic"))
        events.append("burst" if drawn.in_burst else "update")

    agent.learn = watched  # type: ignore[method-assign, assignment]
    for _ in zip(range(32), interactions(session), strict=False):
        pass
    updates, bursts, alone = session.clock.updates, CYCLE * ["burst"], CYCLE * ["update"]
    assert updates > 2 * CYCLE and events[: 5 * CYCLE] == [*bursts, *alone, *bursts, *alone, *bursts]
    assert agent.updates.tolist() == [updates]
    session.close()
    run.close()


def test_discrete_actions_are_drawn_by_gumbel_noise_and_targets_take_the_largest_noisy_entry() -> None:
    cartpole = "environment={ kind = 'gymnasium', id = 'CartPole-v1' }"
    agent = learner(cartpole, "networks.actor.head={ kind = 'categorical_policy' }")
    observation = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0))
    plain, program = Plain(agent), agent.program
    logits = plain.pi("actor", plain.f("state_encoder", observation[0].double()))
    assert program.exploration_noise == (4,) and program.evaluation_noise == (2,)
    assert set(program.noise) == {"target", "target_gumbel", "gumbel"}
    many = torch.randn(20_000, 1, 9, 2, generator=torch.Generator().manual_seed(1))
    drawn = torch.stack([program.evaluate(observation, each) for each in many[:4_000]]).mean(0)[0]
    torch.testing.assert_close(drawn.double(), logits.softmax(-1), rtol=0, atol=0.03)
    assert torch.equal(program.act(observation, None)[0].argmax(-1), logits.argmax(-1))
    draws = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(2))
    gumbel = -torch.log(-torch.log(torch.special.ndtr(draws[0, :, :2].double())))
    noisy = ((logits + gumbel) / 10).softmax(-1) + 0.2 * draws[0, :, 2:]
    assert torch.equal(program.act(observation, draws)[0].argmax(-1), noisy.argmax(-1))


def test_published_sizes() -> None:
    """HalfCheetah's, which has as many observations and actions as cheetah-run: 1.75, 0.53 and 1.58 million."""
    outlines = load(blueprints_root() / "dmc" / "mr_q.toml", ["environment.task=cheetah-run"]).blueprint.sound_outlines
    mlp = 2 * (512 * 512 + 512)
    encoders = (17 * 512 + 512 + mlp) + (6 * 256 + 256 + 768 * 512 + 512 + mlp) + 512 * 578 + 578
    assert sum(outlines[role].count() for role in ENCODERS) == encoders == 1_751_874
    assert outlines["actor"].count() == mlp + 512 * 6 + 6 == 528_390
    assert 2 * outlines["critic"].count() == 2 * (mlp + 512 * 512 + 512 + 513) == 1_576_962


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("networks.model.trunk.width=70", r"it must give \[72\], a termination, 6 features and 65 reward bins"),
        ("optimizers.model={ kind = 'sam', base = { kind = 'sgd' } }", "encoders and model by one loss, which 'sam'"),
        (
            "interventions.it={ when = { kind = 'at', steps = [9] }, where = ['critic.*'], do = { kind = 'nothing' },"
            " moments = 'zero', measure = { updates = 10 } }",
            "learns from more than single transitions, which a fork draws",
        ),
    ],
)
def test_what_does_not_fit_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        blueprint_of(override)


def test_a_twin_is_told_of_the_scale_of_rewards(tmp_path: Path) -> None:
    alternate = "when = { kind = 'at', steps = [1_000] }, where = ['*'], do = { kind = 'alternate' }, target = 'own'"
    more = ("training.env_steps=2_000", f"interventions.it={{ {alternate} }}")
    run, session = assemble.start(blueprint_of(*more), tmp_path, None)
    for batches in training_steps(session):
        if batches:
            session.learn(batches)
        if int(session.learner.updates) == CYCLE + 2:
            break
    held, own = session.surgery.tensors(), session.learner.built.tensors
    assert float(own["reward_scale"]) != 1 != float(own["target_reward_scale"])
    for name in ("reward_scale", "target_reward_scale", "terminates"):
        assert torch.equal(held[f"interventions/it/twin/algorithm/{name}"], own[name])
    session.close()
    run.close()


def test_a_run_resumes_to_the_bit_and_seeds_keep_to_themselves(tmp_path: Path) -> None:
    run, session = assemble.start(blueprint_of("seeds=[0, 3]"), tmp_path / "whole", None)
    go_on(session)
    run.close()
    cut, half = assemble.start(blueprint_of("seeds=[0, 3]"), tmp_path / "cut", None)
    assert result(resumed(stopped(cut, half, 41))) == result(run.path)
    alone, one = assemble.start(blueprint_of("seeds=[3]"), tmp_path / "alone", None)
    go_on(one)
    alone.close()
    for name, value in one.learner.tensors().items():
        if name == "signals":
            continue
        torch.testing.assert_close(value[0], session.learner.tensors()[name][1], rtol=1e-4, atol=1e-6, msg=name)
    assert math.isfinite(float(one.learner.built.tensors["encoder_loss"]))


def test_bursts_of_agents_side_by_side_are_those_of_each_alone() -> None:
    parts, alone = ([learner(f"seeds=[{seed}]") for seed in (0, 3)] for _ in range(2))
    stack = Stack(learner("seeds=[0, 3]"), [1, 1], parts)
    for agent in (*parts, *alone):
        agent.program.begin_burst(torch.full((1,), 0.5), torch.ones(1))
    for step in range(2):
        data = [batch(1, step), batch(1, step + 10)]
        for made in ([BurstMinibatch(each, future()) for each in data], [Minibatch(each, ONES) for each in data]):
            stack.learn({place: [each] for place, each in enumerate(made)})
            for agent, each in zip(alone, made, strict=True):
                agent.learn([each])
    for part, agent in zip(parts, alone, strict=True):
        for name, value in agent.tensors().items():
            torch.testing.assert_close(part.tensors()[name], value, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_agree() -> None:
    """Alone compiles the update of critics and actor, and that of encoders and model."""
    torch.compiler.reset()
    plain = [f"optimizers.{role}={{ kind = 'sgd', learning_rate = 1e-2 }}" for role in (*ENCODERS, "critic", "actor")]
    compiled, eager = (learner(*plain, choice=Choice(each, "a test")) for each in (True, False))
    for agent in (compiled, eager):
        updated(agent, CYCLE + 1)
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-3, atol=2e-4, msg=name)
