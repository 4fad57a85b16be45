"""DreamerV3 written out a second time in float64, moment by moment: arXiv:2301.04104 and its released code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from dispatched import captured_without_code
from dreamer_formulas import Weights
from dreamer_formulas import reconstruction as of_picture
from dreamer_formulas import tokens as tokens_of_picture
from tiny_dreamer import BATCH, CLASSES, HORIZON, MOMENTS, VARIABLES, blueprint_of, dreamer, minibatch
from tiny_runs import EAGER, go_on, result, resumed, stopped
from torch import Tensor
from torch.nn.functional import logsigmoid, silu

from composer.blueprint import BlueprintError, load
from composer.spec.shape import Shape
from composer.training import assemble
from composer.training.compile.capture import Choice

SEED, RATE = 1, 0.1
SHARE, DISCOUNT, TRACE, BONUS = 0.01, 1 - 1 / 333, 0.95, 3e-4
BINS = [math.copysign(math.expm1(abs(x)), x) for x in range(-4, 5)]
SHIPPED = Path(__file__).parents[2] / "blueprints" / "dmc"


def mlp(w: Weights, path: str, x: Tensor, depth: int = 1) -> Tensor:
    for at in (f"{path}.{index}" for index in range(depth)):
        x = linear(w, f"{at}.0", x)
        x = silu(x / (x.square().mean() + 1e-4).sqrt() * w[f"{at}.1.weight"])
    return x


def linear(w: Weights, path: str, x: Tensor) -> Tensor:
    return w[f"{path}.weight"] @ x + w[f"{path}.bias"]


def norm(w: Weights, path: str, x: Tensor) -> Tensor:
    return silu(x / (x.square().mean() + 1e-4).sqrt() * w[f"{path}.weight"])


def dynamics(w: Weights, h: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """With the block-diagonal weights written out as full matrices."""
    path, a = "dynamics.trunk", a / a.abs().clip(1)
    parts = zip(("state", "latent", "action"), (h, z, a), strict=True)
    read = [norm(w, f"{path}.{name}_norm", linear(w, f"{path}.{name}", x)) for name, x in parts]
    groups = [torch.cat([part, *read]) for part in h.chunk(2)]
    mixed = torch.block_diag(*w[f"{path}.mixed.weight"].chunk(2)) @ torch.cat(groups) + w[f"{path}.mixed.bias"]
    mixed = norm(w, f"{path}.mixed_norm", mixed)
    gates = torch.block_diag(*w[f"{path}.gates.weight"].chunk(2)) @ mixed + w[f"{path}.gates.bias"]
    reset, candidate, update = (torch.cat(part) for part in zip(*(g.chunk(3) for g in gates.chunk(2)), strict=True))
    kept = torch.sigmoid(update - 1)
    return kept * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - kept) * h


def symlog(x: Tensor) -> Tensor:
    return x.sign() * x.abs().log1p()


def encoded(w: Weights, seen: Tensor) -> Tensor:
    return tokens_of_picture(w, seen) if seen.ndim == 3 else mlp(w, "encoder.trunk", symlog(seen))


def error(w: Weights, x: Tensor, seen: Tensor) -> Tensor:
    if seen.ndim == 3:
        return of_picture(w, x, seen)
    return (linear(w, "decoder.trunk.1", mlp(w, "decoder.trunk.0", x)) - symlog(seen)).square().sum()


def chances(logits: Tensor) -> Tensor:
    return (1 - SHARE) * logits.view(VARIABLES, CLASSES).softmax(-1) + SHARE / CLASSES


def prior(w: Weights, h: Tensor) -> Tensor:
    return chances(linear(w, "prior.trunk.1", mlp(w, "prior.trunk.0", h, 2)))


def one_hot(p: Tensor, noise: Tensor) -> Tensor:
    found = torch.zeros_like(p)
    for variable, draw in enumerate(noise.tolist()):
        passed = torch.tensor(0.5 * (1 + math.erf(draw / math.sqrt(2)))) > p[variable].detach().cumsum(0)[:-1]
        found[variable, int(passed.sum())] = 1
    return (found + p - p.detach()).flatten()


def kl(p: Tensor, q: Tensor) -> Tensor:
    return torch.maximum((p * (p / q).log()).sum(), torch.ones((), dtype=torch.float64))


def two_hot(number: float) -> Tensor:
    found, number = torch.zeros(9, dtype=torch.float64), min(max(number, BINS[0]), BINS[-1])
    low = max(index for index in range(8) if BINS[index] <= number)
    found[low + 1] = (number - BINS[low]) / (BINS[low + 1] - BINS[low])
    found[low] = 1 - found[low + 1]
    return found


def head(w: Weights, role: str, x: Tensor) -> Tensor:
    return linear(w, f"{role}.head.linear", mlp(w, f"{role}.trunk", x))


def cross_entropy(logits: Tensor, number: float) -> Tensor:
    return -(two_hot(number) * logits.log_softmax(0)).sum()


def mean_of(logits: Tensor) -> float:
    return float((logits.detach().softmax(0) * torch.tensor(BINS).double()).sum())


def policy(w: Weights, x: Tensor) -> torch.distributions.Normal:
    seen = mlp(w, "actor.trunk", x)
    deviation = 0.9 * torch.sigmoid(linear(w, "actor.head.deviation", seen) + 2) + 0.1
    return torch.distributions.Normal(linear(w, "actor.head.mean", seen).tanh(), deviation)


def mixed_returns(reward: list[float], live: list[float], stays: list[float], value: list[float]) -> list[float]:
    found = [value[-1]]
    for t in range(len(value) - 1, 0, -1):
        found.insert(0, reward[t] + live[t] * ((1 - TRACE * stays[t]) * value[t] + TRACE * stays[t] * found[0]))
    return found[:-1]


def imagined(w: Weights, h: Tensor, z: Tensor, prior_noise: Tensor, noise: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    features, actions = [torch.cat([h, z])], []
    for step in range(HORIZON):
        chosen = policy(w, features[-1])
        actions.append(chosen.mean + chosen.stddev * noise[step])
        h = dynamics(w, h, z, actions[-1])
        z = one_hot(prior(w, h), prior_noise[step])
        features.append(torch.cat([h, z]))
    return features, actions


def expected(
    w: Weights, extra: Weights, noise: Weights, ends: list[float]
) -> tuple[Tensor, Weights, Tensor, list[float]]:
    """The loss, its parts by name, the latents of all moments, and the range of returns after the update."""
    features, parts = torch.zeros(BATCH, MOMENTS, 20, dtype=torch.float64), dict.fromkeys(NAMES, torch.zeros(()))
    count = BATCH * MOMENTS
    rows = {name.removeprefix("sequence/"): value for name, value in extra.items()}
    followed = []
    for b in range(BATCH):
        h, z = rows["remembered/recurrent"][b], rows["remembered/stochastic"][b]
        for t in range(1, MOMENTS + 1):
            a, keeps = rows["action"][b, t - 1], 1 - rows["first"][b, t]
            h = dynamics(w, h * keeps, z * keeps, a * keeps)
            tokens = encoded(w, seen := rows["observation"][b, t])
            post = chances(linear(w, "posterior.trunk.1", mlp(w, "posterior.trunk.0", torch.cat([h, tokens]))))
            z = one_hot(post, noise["posterior"][b, t - 1])
            x = torch.cat([h, z])
            features[b, t - 1] = x
            guess = prior(w, h)
            logit, wanted = head(w, "continuation", x)[0], (1 - rows["terminal"][b, t]) * DISCOUNT
            each = {
                "model/reconstruction": error(w, x, seen),
                "model/reward": cross_entropy(head(w, "reward", x), float(rows["reward"][b, t])),
                "model/continuation": -(wanted * logsigmoid(logit) + (1 - wanted) * logsigmoid(-logit)),
                "model/dynamics": kl(post.detach(), guess),
                "model/representation": kl(post, guess.detach()),
            }
            parts = {**parts, **{name: parts[name] + value / count for name, value in each.items()}}
            with torch.no_grad():
                now = h.detach(), z.detach()
                followed.append(imagined(w, *now, noise["prior"][b, t - 1], noise["action"][b, t - 1]))
    steps, firsts, weights = [], [], []
    for seen_all, _ in followed:
        with torch.no_grad():
            reward, value = ([mean_of(head(w, role, x)) for x in seen_all] for role in ("reward", "critic"))
            live = [float(torch.sigmoid(head(w, "continuation", x)[0])) for x in seen_all]
        returns = mixed_returns(reward, live, [1.0] * len(live), value)
        steps.append((returns, value))
        firsts.append(returns[0])
        weights.append(np.cumprod(live))
    quantiles = np.quantile([r for returns, _ in steps for r in returns], [0.05, 0.95])
    ends = [old + 0.01 * (new - old) for old, new in zip(ends, quantiles, strict=True)]
    scale = max(1.0, ends[1] - ends[0])
    for (seen_all, actions), (returns, value), weight in zip(followed, steps, weights, strict=True):
        for t in range(HORIZON):
            chosen, share = policy(w, seen_all[t]), float(weight[t]) / (count * HORIZON)
            advantage = (returns[t] - value[t]) / scale
            gain = chosen.log_prob(actions[t]).sum() * advantage + BONUS * chosen.entropy().sum()
            parts["actor/loss"] = parts["actor/loss"] - share * gain
            parts["critic/loss"] = parts["critic/loss"] + share * to_both(w, seen_all[t], returns[t])
    for b in range(BATCH):
        live = [float((1 - end) * DISCOUNT) for end in rows["terminal"][b, 1:]]
        stays = [float(1 - end) for end in rows["last"][b, 1:]]
        reward, boot = rows["reward"][b, 1:].tolist(), firsts[b * MOMENTS : (b + 1) * MOMENTS]
        for t, number in enumerate(mixed_returns(reward, live, stays, boot)):
            found = stays[t] * to_both(w, features[b, t], number)
            parts["critic/replay_loss"] = parts["critic/replay_loss"] + found / (BATCH * (MOMENTS - 1))
    factors = {"model/representation": 0.1, "critic/replay_loss": 0.3}
    total = sum((factors.get(name, 1.0) * value for name, value in parts.items()), torch.zeros(()))
    return total, parts, features, ends


def to_both(w: Weights, x: Tensor, number: float) -> Tensor:
    """Cross-entropies of the critic to a return and to the slow critic's value."""
    slow = mean_of(linear(w, "slow.head.linear", mlp(w, "slow.trunk", x.detach())).detach())
    logits = head(w, "critic", x)
    return cross_entropy(logits, number) + cross_entropy(logits, slow)


NAMES = (
    *(f"model/{name}" for name in ("reconstruction", "reward", "continuation", "dynamics", "representation")),
    "actor/loss",
    "critic/loss",
    "critic/replay_loss",
)


@pytest.mark.parametrize(("variant", "seen"), [(None, (3,)), ("pictures", (2, 4, 4))])
def test_one_update_is_that_of_the_formulas(variant: str | None, seen: Shape) -> None:
    """Losses, every gradient, the range of returns, the slow critic and the latents that go back to the replay."""
    agent = dreamer(variant=variant)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for stack in (*agent.networks.values(), *agent.averages.values()):
            for value in stack.parameters.values():
                value.add_(0.5 * torch.randn(value.shape, generator=generator))
        agent.built.tensors["low_return"].copy_(torch.tensor([0.5, -3.0]))
        agent.built.tensors["high_return"].copy_(torch.tensor([0.7, 4.0]))
    held = {role: network.parameters for role, network in agent.networks.items()}
    held["slow"] = agent.averages["slow_critic"].parameters
    w = {
        f"{role}.{path}": value[SEED, 0].detach().double().requires_grad_()
        for role, parameters in held.items()
        for path, value in parameters.items()
    }
    slow = {path: value.detach().clone() for path, value in held["slow"].items()}
    data = minibatch(seen)
    extra = {name: value[SEED].double() for name, value in data.extra.items()}
    agent.draw_noise(1)
    noise = {name: value[SEED].double() for name, value in agent.noise[0].items()}
    total, parts, features, ends = expected(w, extra, noise, [-3.0, 4.0])
    total.backward()

    agent.learn_with_noise(agent.noise, [data])
    signals = agent.drain_signals()[SEED]
    assert {name: signals[name] for name in NAMES} == pytest.approx(
        {name: float(value.detach()) for name, value in parts.items()}, rel=2e-4, abs=1e-5
    )
    assert float(parts["model/dynamics"].detach()) > 1.05  # Above the free nats, or the gradients would be none.
    found = [float(agent.built.tensors[f"{end}_return"][SEED]) for end in ("low", "high")]
    assert found == pytest.approx(ends, rel=1e-4)
    latents = torch.cat([agent.reports[f"refreshed/{name}"][SEED] for name in ("recurrent", "stochastic")], -1)
    torch.testing.assert_close(latents.double(), features.detach(), atol=1e-4, rtol=0)
    for role, parameters in held.items():
        for path, value in parameters.items():
            before = w[f"{role}.{path}"]
            if role == "slow":
                wanted = 0.9 * slow[path][SEED, 0] + 0.1 * held["critic"][path][SEED, 0]
            else:
                assert before.grad is not None and before.grad.any(), f"{role}.{path}"
                wanted = (before - RATE * before.grad).float()
            after = value[SEED, 0].detach()
            torch.testing.assert_close(after, wanted.detach(), atol=2e-5, rtol=1e-4, msg=f"{role}.{path}")


@pytest.mark.parametrize(
    ("name", "variant", "parameters"),
    [("dreamer_v3", None, 640_867), ("dreamer_v3", "12m", 9_738_019), ("dreamer_v3_pixels", None, 10_494_158)],
)
def test_published_sizes(name: str, variant: str | None, parameters: int) -> None:
    """0.64 million, and the 9.7 million that MR.Q's paper prints for DreamerV3 (arXiv:2501.16142)."""
    outlines = load(SHIPPED / f"{name}.toml", variant=variant, is_to_run=False).blueprint.sound_outlines
    assert sum(outline.count() for outline in outlines.values()) == parameters


@pytest.mark.parametrize("variant", [None, "pictures"])
def test_a_run_resumes_to_the_bit_with_its_latents(variant: str | None, tmp_path: Path) -> None:
    """Stopped within an episode, with environments that step beside the updates."""
    declared = blueprint_of("training.overlap=true", variant=variant)
    run, parts = assemble.start(declared, tmp_path / "whole", None)
    go_on(parts)
    run.close()
    cut = stopped(*assemble.start(declared, tmp_path / "cut", None), at=46)
    assert result(resumed(cut)) == result(run.path)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("algorithm.recurrent=9", "dynamics must give [9], 'recurrent', and gives [8]"),
        ("algorithm.classes=5", "prior must give [15], 'variables' times 'classes', and gives [12]"),
        ("algorithm.untrained_interactions=3", "1 + 3 interactions before the first update hold no sequence of 5"),
        ("algorithm.n_step=3", "DreamerV3 mixes returns of all lengths by 'trace_decay'"),
        ("optimizers.actor={ kind = 'sam', base = { kind = 'sgd' } }", "by one loss, which 'sam' cannot"),
        (
            "interventions.it={ when = { kind = 'at', steps = [9] }, where = ['*'], do = { kind = 'alternate' } }",
            "or from latents that the replay keeps of its own networks",
        ),
        ("networks.continuation.head={ kind = 'quantile', quantiles = 3 }", "the continuation is one number, a logit"),
    ],
)
def test_what_does_not_fit_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        blueprint_of(override)
    assert said in str(caught.value)


@pytest.mark.slow
def test_captured_updates_are_eager_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces a model that is unrolled in time: gradients through sequence and imagination, and no mutation left.

    The code that inductor makes of the graph takes minutes, and is compared by hand.
    """
    captured_without_code(monkeypatch)
    compiled, eager = (dreamer(choice=choice) for choice in (Choice(True, "a test"), EAGER))
    for step in range(2):
        for learner in (compiled, eager):
            learner.update(*minibatch(seed=step))
    assert compiled.updates.eq(2).all()
    for name, value in compiled.tensors().items():
        torch.testing.assert_close(value, eager.tensors()[name], rtol=2e-4, atol=2e-5, msg=name)
