"""TD7 written out a second time in float64, without the program's code: arXiv:2306.02451 and its released code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_deterministic import BATCH, batch, noise, state
from tiny_runs import EAGER, go_on, result, resumed, stopped
from torch import Tensor, nn

from composer.algorithms.program import Batch
from composer.blueprint import Blueprint, BlueprintError, load
from composer.replay.transitions import Minibatch, Transitions
from composer.training import assemble
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

TINY = Path(__file__).parent.parent / "tiny_td7.toml"
EVERY = 10
ENCODERS = ("state_encoder", "state_action_encoder")
ONES = {"weight": torch.ones(1, BATCH)}


def blueprint_of(*overrides: str) -> Blueprint:
    return load(TINY, overrides).blueprint


def learner(*overrides: str, choice: Choice = EAGER) -> Learner:
    return Learner(blueprint_of(*overrides).agent, "cpu", choice)


def updated(agent: Learner, updates: int, seed: int = 100) -> Learner:
    for step in range(updates):
        data = batch(len(agent.seeds), seed + step)
        agent.update(data, {"weight": torch.ones(len(agent.seeds), BATCH)})
    return agent


def avg_l1(x: Tensor) -> Tensor:
    return x / x.abs().mean(-1, keepdim=True).clip(1e-8)


class Plain:
    """The networks of one seed by name, as the paper draws them, on the parameters of a learner in float64."""

    def __init__(self, agent: Learner, seed: int = 0) -> None:
        self.held = {
            name: [
                {path: value[seed, copy].detach().double().requires_grad_() for path, value in stack.parameters.items()}
                for copy in range(stack.copies)
            ]
            for name, stack in {**agent.networks, **agent.averages}.items()
        }

    def f(self, name: str, s: Tensor) -> Tensor:
        return avg_l1(self._mlp(self.held[name][0], "trunk.{}", s))

    def g(self, name: str, z: Tensor, a: Tensor) -> Tensor:
        return self._mlp(self.held[name][0], "trunk.{}", torch.cat([z, a], -1))

    def pi(self, name: str, s: Tensor, z: Tensor) -> Tensor:
        w = self.held[name][0]
        x = torch.cat([avg_l1(linear(w, "trunk.0.block.0", s)), z], -1)
        x = linear(w, "trunk.3", linear(w, "trunk.1", x).relu()).relu()
        return linear(w, "head.linear", x).tanh()

    def q(self, name: str, s: Tensor, a: Tensor, z_sa: Tensor, z_s: Tensor) -> Tensor:
        found = []
        for w in self.held[name]:
            x = torch.cat([avg_l1(linear(w, "trunk.0.block.0", torch.cat([s, a], -1))), z_sa, z_s], -1)
            x = nn.functional.elu(linear(w, "trunk.3", nn.functional.elu(linear(w, "trunk.1", x))))
            found.append(linear(w, "head.linear", x).squeeze(-1))
        return torch.stack(found)

    def _mlp(self, w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
        x = nn.functional.elu(linear(w, path.format(0), x))
        return linear(w, path.format(4), nn.functional.elu(linear(w, path.format(2), x)))


def linear(w: dict[str, Tensor], path: str, x: Tensor) -> Tensor:
    return x @ w[f"{path}.weight"].T + w[f"{path}.bias"]


def lap_huber(x: Tensor) -> Tensor:
    return torch.where(x < 1, 0.5 * x**2, x)


def expected(p: Plain, data: Transitions, draws: Tensor, low: float, high: float) -> tuple[dict[str, Tensor], Tensor]:
    """The losses by the role that steps, and the priorities before their power."""
    s, a, r, bootstrap, t = (value[0].double() for value in data)
    eps = (0.2 * draws[0].double()).clip(-0.5, 0.5)
    with torch.no_grad():
        z_t = p.f("target_state_encoder", t)
        b = (p.pi("target_actor", t, z_t) + eps).clip(-1, 1)
        value = p.q("target_critic", t, b, p.g("target_state_action_encoder", z_t, b), z_t).amin(0)
        y = r + bootstrap * value.clip(low, high)
        z = p.f("fixed_state_encoder", s)
        goal = p.f("state_encoder", t)
    encoder = (p.g("state_action_encoder", p.f("state_encoder", s), a) - goal).square().mean()
    error = (p.q("critic", s, a, p.g("fixed_state_action_encoder", z, a), z) - y).abs()
    pi = p.pi("actor", s, z)
    actor = -p.q("critic", s, pi, p.g("fixed_state_action_encoder", z, pi), z).mean()
    losses = {"state_encoder": encoder, "critic": lap_huber(error).sum(0).mean(), "actor": actor}
    return losses, error.amax(0)


TRAINS = {"state_encoder": ENCODERS, "critic": ("critic",), "actor": ("actor",)}


def test_losses_gradients_and_priorities() -> None:
    """With averages that lag by one and two periods, so that each place reads the right one; bounds that bind."""
    agent = updated(learner(), 2 * EVERY + 3)
    low, high = -0.02, 0.02
    agent.built.tensors["bounds"].copy_(torch.tensor([[low, high]]))
    data, draws, plain = batch(), noise(agent), Plain(agent)
    assert set(draws) == {"target"} and (0.2 * draws["target"].abs() > 0.5).any()
    wanted, priorities = expected(plain, data, draws["target"], low, high)
    unbounded, _ = expected(plain, data, draws["target"], -1e8, 1e8)
    assert wanted["critic"].item() != pytest.approx(unbounded["critic"].item(), rel=1e-3)
    for objective in agent.program.objectives:
        assert objective.roles == TRAINS[objective.role]
        signals: dict[str, Tensor] = {}
        found = objective.loss(Batch(*data, ONES), draws, signals)[0]
        torch.testing.assert_close(found.double(), wanted[objective.role], rtol=1e-5, atol=1e-6)
        if objective.role == "critic":
            torch.testing.assert_close(signals["priority"][0].double(), priorities, rtol=1e-5, atol=1e-6)
        for role in objective.roles:
            mine = agent.networks[role].parameters
            gradients = torch.autograd.grad(found, list(mine.values()), retain_graph=True)
            for copy, held in enumerate(plain.held[role]):
                theirs = torch.autograd.grad(wanted[objective.role], [held[path] for path in mine], retain_graph=True)
                for path, one, other in zip(mine, gradients, theirs, strict=True):
                    torch.testing.assert_close(one[0, copy].double(), other, rtol=1e-3, atol=1e-6, msg=f"{role} {path}")


def test_encoders_are_trained_by_their_own_loss_alone() -> None:
    agent = learner()
    encoders = [value for role in ENCODERS for value in agent.networks[role].parameters.values()]
    for objective in agent.program.objectives[1:]:
        loss = objective.loss(Batch(*batch(), ONES), noise(agent), {})
        gradients = torch.autograd.grad(loss, encoders, allow_unused=True, retain_graph=True)
        assert all(each is None for each in gradients), objective.role


def test_order_of_events_over_the_first_periods() -> None:
    """Every tenth update: targets get their networks, target encoders the weights that the fixed ones had before it."""
    agent, before = learner(), None
    bounds, extremes = [0.0, 0.0], [1e8, -1e8]
    targets = {f"target_{role}": f"fixed_{role}" for role in ENCODERS}
    for step in range(1, 3 * EVERY + 2):
        before = state(agent)
        draws, data = noise(agent, step), batch(1, step)
        plain = Plain(agent)
        y = seen_targets(plain, data, draws["target"], *bounds)
        agent.learn_with_noise([draws], [Minibatch(data, ONES)])
        after = agent.tensors()
        extremes = [min(extremes[0], y.min().item()), max(extremes[1], y.max().item())]
        is_due = step % EVERY == 0
        if is_due:
            bounds = extremes
        assert after["algorithm/bounds"][0].tolist() == pytest.approx(bounds, abs=1e-5)
        moves = [name for name in ("actor", "critic") if changed(before, after, f"averages/target_{name}")]
        assert moves == (["actor", "critic"] if is_due else [])
        assert changed(before, after, "networks/actor") == (step % 2 == 0)
        for target, fixed in targets.items():
            online = fixed.removeprefix("fixed_")
            wanted = (f"averages/{fixed}", before), (f"networks/{online}", after)
            for name, (source, at) in zip((target, fixed), wanted, strict=True):
                held = parameters(after, f"averages/{name}")
                if is_due:
                    assert all(torch.equal(held[path], value) for path, value in parameters(at, source).items())
                else:
                    assert not changed(before, after, f"averages/{name}")


def seen_targets(plain: Plain, data: Transitions, draws: Tensor, low: float, high: float) -> Tensor:
    _, _, r, bootstrap, t = (value[0].double() for value in data)
    z_t = plain.f("target_state_encoder", t)
    b = (plain.pi("target_actor", t, z_t) + (0.2 * draws[0].double()).clip(-0.5, 0.5)).clip(-1, 1)
    value = plain.q("target_critic", t, b, plain.g("target_state_action_encoder", z_t, b), z_t).amin(0)
    return r + bootstrap * value.clip(low, high)


def parameters(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def changed(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> bool:
    return any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith(f"{prefix}/"))


def test_actions_are_those_of_the_fixed_encoder() -> None:
    agent, observation = updated(learner(), EVERY + 5), batch().observation
    plain = Plain(agent)
    wanted = plain.pi("actor", observation[0].double(), plain.f("fixed_state_encoder", observation[0].double()))
    torch.testing.assert_close(agent.program.act(observation, None)[0].double(), wanted, rtol=1e-5, atol=1e-6)
    draws = torch.randn(1, BATCH, 2, generator=torch.Generator().manual_seed(1))
    explored = (wanted + 0.1 * draws[0]).clip(-1, 1)
    torch.testing.assert_close(agent.program.act(observation, draws)[0].double(), explored, rtol=1e-5, atol=1e-6)


def test_without_bounds_there_are_no_tensors_of_its_own() -> None:
    agent = updated(learner("algorithm.bounds_every=0"), 2)
    assert not [name for name in agent.tensors() if name.startswith("algorithm/")]
    wanted, _ = expected(Plain(agent), batch(), noise(agent)["target"], -1e8, 1e8)
    found = agent.program.objectives[1].loss(Batch(*batch(), ONES), noise(agent), {})[0]
    torch.testing.assert_close(found.double(), wanted["critic"], rtol=1e-5, atol=1e-6)


def test_target_encoders_that_come_too_late_are_refused(tmp_path: Path) -> None:
    lines = TINY.read_text(encoding="utf-8").split("\n")
    first = next(index for index, line in enumerate(lines) if line.startswith("target_state_encoder ="))
    late = tmp_path / "late.toml"
    late.write_text("\n".join([*lines[:first], lines[first + 2], lines[first], lines[first + 1], *lines[first + 3 :]]))
    with pytest.raises(
        BlueprintError, match="declare it before 'fixed_state_encoder': averages move in declared order"
    ):
        load(late)
    with pytest.raises(BlueprintError, match="TD7's critics give one value, got the head 'categorical_value'"):
        blueprint_of("networks.critic.head={ use = 'hl_gauss' }")


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_and_eager_updates_agree() -> None:
    """Alone compiles TD7's update, here over two periods of its averages."""
    torch.compiler.reset()
    # Plain steps: what a compilation costs grows with the state of optimizers, which have tests of their own.
    plain = [f"optimizers.{role}={{ kind = 'sgd', learning_rate = 1e-2 }}" for role in (*ENCODERS, "critic", "actor")]
    compiled, eager = (learner(*plain, choice=Choice(each, "a test")) for each in (True, False))
    for agent in (compiled, eager):
        updated(agent, 2 * EVERY + 1)
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-3, atol=2e-4, msg=name)
