"""Soft actor-critic over distributional critics: its targets and losses written out a second time, in plain loops.

Sources: arXiv:2502.15280 (SimbaV2: C51 target with the entropy in it, the whole distribution of the lower critic),
arXiv:2405.16158 (BRO: the mean of quantile critics).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from dispatched import Graphs, captured_without_code
from tiny_runs import EVENTFUL, begin, finished, learner, result, resumed, rows, stopped, tiny
from torch import Tensor, nn

from composer.algorithms.program import Batch
from composer.blueprint import BlueprintError
from composer.replay.transitions import Transitions
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

BATCH, OBSERVATION, ACTION, ATOMS, LOW, HIGH = 32, 3, 2, 7, -3.0, 3.0
PLAIN = "normalization.observation={ kind = 'raw' }"
SUPPORT = "kind = 'categorical_value', atoms = 7, low = -3.0, high = 3.0"
HEADS = {
    "scalar": "{ kind = 'scalar' }",
    "c51": f"{{ {SUPPORT} }}",
    "two_hot": f"{{ {SUPPORT}, projection = 'two_hot' }}",
    "hl_gauss": f"{{ {SUPPORT}, projection = 'hl_gauss', sigma_ratio = 0.75 }}",
    "quantile": "{ kind = 'quantile', quantiles = 5, kappa = 0.5 }",
    "implicit_quantile": "{ kind = 'implicit_quantile', samples = 4, cosines = 8, hidden = [{ kind = 'relu' }] }",
}


def over(head: str, copies: int = 2, critics: str = "minimum") -> tuple[str, ...]:
    changes = (f"networks.critic.head={HEADS[head]}", f"networks.critic.copies={copies}")
    return (*changes, f"algorithm.critics='{critics}'", PLAIN)


def batch(agent: Learner, seed: int = 0, bootstrap: float = 0.9) -> Transitions:
    generator = torch.Generator().manual_seed(seed)
    seeds = len(agent.seeds)

    def draw(*shape: int) -> Tensor:
        return torch.randn(seeds, BATCH, *shape, generator=generator)

    kept = torch.full((seeds, BATCH), bootstrap)
    kept[:, ::5] = 0.0
    return Transitions(draw(OBSERVATION), draw(ACTION).tanh(), draw(), kept, draw(OBSERVATION))


def noise(agent: Learner, seed: int = 9) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(len(agent.seeds), BATCH, *shape, generator=generator)
        for name, shape in agent.program.noise.items()
    }


class Reference:
    """One seed as plain modules in float64; of a critic, what it gives is read sample by sample."""

    def __init__(self, agent: Learner, *overrides: str) -> None:
        networks = tiny(*overrides).networks
        self.copies = networks["critic"].copies
        self.actor = self._module(networks["actor"].build((OBSERVATION,), ACTION), agent, "actor", 0)
        self.critics, self.targets = (
            [
                self._module(networks["critic"].build((OBSERVATION + ACTION,), ACTION), agent, name, copy)
                for copy in range(self.copies)
            ]
            for name in ("critic", "target_critic")
        )
        self.alpha = agent.scalars["temperature"]["value"][0, 0].detach().double().exp()

    @staticmethod
    def _module(module: nn.Module, agent: Learner, name: str, copy: int) -> nn.Module:
        stack = {**agent.networks, **agent.averages}[name].tensors()
        module.load_state_dict({path: value[0, copy].detach() for path, value in stack.items()})
        return module.double().eval()

    def act(self, observation: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(observation.double())
        before = mean + log_std.exp() * draws
        density = torch.distributions.Normal(mean, log_std.exp()).log_prob(before).sum(-1)
        return before.tanh(), density - (1 - before.tanh() ** 2).log().sum(-1)


def joined(x: Tensor, action: Tensor) -> Tensor:
    return torch.cat([x, action], -1).double()


def atoms() -> list[float]:
    return [LOW + i * (HIGH - LOW) / (ATOMS - 1) for i in range(ATOMS)]


def mean_of(head: str, raw: Any) -> Tensor:
    """The value of raw outputs ``[..., N]``."""
    if head == "scalar":
        return raw
    if head == "implicit_quantile":
        raw = raw[0]
    return raw.mean(-1) if "quantile" in head else (raw.softmax(-1) * torch.tensor(atoms(), dtype=raw.dtype)).sum(-1)


def categorical_target(head: str, p: Tensor, move: Callable[[float], float]) -> Tensor:
    """Probabilities of one sample from those of the next distribution."""
    z, spacing, result = atoms(), (HIGH - LOW) / (ATOMS - 1), [0.0] * ATOMS
    mean = sum(float(q) * x for q, x in zip(p, z, strict=True))
    points = [(move(x), float(q)) for x, q in zip(z, p, strict=True)] if head == "c51" else [(move(mean), 1.0)]
    for point, mass in points:
        point = min(max(point, LOW), HIGH)
        if head == "hl_gauss":
            sigma = 0.75 * spacing * math.sqrt(2)
            below = [math.erf((LOW + (i - 0.5) * spacing - point) / sigma) for i in range(ATOMS + 1)]
            result = [(b - a) / (below[-1] - below[0]) for a, b in pairwise(below)]
        else:
            position = (point - LOW) / spacing
            lower = min(math.floor(position), ATOMS - 2)
            result[lower] += mass * (lower + 1 - position)
            result[lower + 1] += mass * (position - lower)
    return torch.tensor(result, dtype=torch.float64)


def sample_loss(head: str, raw: Any, following: Any, move: Callable[[float], float]) -> Tensor:
    """The loss of one sample of one critic against the distribution that counts next."""
    if head == "scalar":
        return (raw - move(float(following))) ** 2
    if head in ("quantile", "implicit_quantile"):
        kappa = 0.5 if head == "quantile" else 1.0
        theta, levels = (raw, [(i + 0.5) / 5 for i in range(5)]) if head == "quantile" else raw
        total = torch.zeros((), dtype=torch.float64)
        for quantile, level in zip(theta, levels, strict=True):
            for target in (move(float(y)) for y in following):
                u = target - quantile
                huber = 0.5 * u**2 if u.abs() <= kappa else kappa * (u.abs() - 0.5 * kappa)
                total = total + abs(level - float(u < 0)) * huber / kappa / len(following)
        return total
    return -(categorical_target(head, following, move) * raw.log_softmax(-1)).sum()


def next_distribution(head: str, raws: list[Any], sample: int, critics: str) -> Any:
    """Of one sample: the quantiles, the probabilities, or the number, of the lower critic or of all together."""
    values = [float(mean_of(head, raw)[sample]) for raw in raws]
    each = [(raw[0] if isinstance(raw, tuple) else raw)[sample] for raw in raws]
    if head in ("c51", "two_hot", "hl_gauss"):
        each = [raw.softmax(-1) for raw in each]
    return each[values.index(min(values))] if critics == "minimum" else torch.stack(each).mean(0)


def losses(
    reference: Reference, head: str, critics: str, data: Transitions, draws: dict[str, Tensor]
) -> dict[str, Tensor]:
    action, density = reference.act(data.observation[0], draws["actor"][0])
    values = torch.stack([mean_of(head, net(joined(data.observation[0], action))) for net in reference.critics])
    worth = values.min(0).values if critics == "minimum" else values.mean(0)
    with torch.no_grad():
        following, log_density = reference.act(data.next_observation[0], draws["target"][0])
        raws = [net(joined(data.next_observation[0], following)) for net in reference.targets]
    critic = torch.zeros((), dtype=torch.float64)
    for net in reference.critics:
        raw = net.train()(joined(data.observation[0], data.action[0]))
        for i in range(BATCH):

            def move(z: float, i: int = i) -> float:
                soft = z - float(reference.alpha * log_density[i])
                return float(data.reward[0, i]) + float(data.bootstrap[0, i]) * soft

            mine = (raw[0][i], raw[1][i]) if isinstance(raw, tuple) else raw[i]
            critic = critic + sample_loss(head, mine, next_distribution(head, raws, i, critics), move) / BATCH
    return {"actor": (reference.alpha * density - worth).mean(), "critic": critic}


@pytest.mark.parametrize("critics", ["minimum", "mean"])
@pytest.mark.parametrize("head", HEADS)
def test_losses_and_gradients_are_those_of_the_equations(head: str, critics: str) -> None:
    overrides = over(head, 2, critics)
    agent = learner(*overrides)
    agent.compute_update(*batch(agent, 5), *noise(agent, 5).values())  # The target lags behind from here on.
    data, draws, reference = batch(agent), noise(agent), Reference(agent, *overrides)
    expected = losses(reference, head, critics, data, draws)
    signals: dict[str, Tensor] = {}
    for role, objective in zip(("actor", "critic"), agent.program.objectives[::2], strict=True):
        loss = objective.loss(Batch(*data), draws, signals)
        torch.testing.assert_close(loss[0].double(), expected[role], rtol=1e-4, atol=1e-5)
        stack = agent.networks[role].parameters
        nets = {"actor": [reference.actor], "critic": reference.critics}[role]
        gradients = torch.autograd.grad(loss.sum(), list(stack.values()))
        for copy, net in enumerate(nets):
            theirs = torch.autograd.grad(expected[role], [net.get_parameter(path) for path in stack], retain_graph=True)
            for path, mine, other in zip(stack, gradients, theirs, strict=True):
                torch.testing.assert_close(mine[0, copy].double(), other, rtol=1e-3, atol=1e-5, msg=path)


@pytest.mark.parametrize("head", ["c51", "hl_gauss", "quantile", "implicit_quantile"])
def test_every_critic_learns_the_rewards_of_a_batch(head: str) -> None:
    """With nothing to bootstrap the value of each transition is its reward."""
    agent = learner(*over(head), "optimizers.critic.learning_rate=3e-2", "optimizers.critic.weight_decay=0.0")
    data = batch(agent, bootstrap=0.0)
    for _ in range(60):
        agent.update(data)
    call = tiny(*over(head)).networks["critic"].head.returns()
    assert call is not None
    value = call.make().value(agent.networks["critic"](torch.cat([data.observation, data.action], -1)))
    assert (value[0] - data.reward).abs().mean() < 0.2 < data.reward.abs().mean() / 3
    (signals,) = agent.drain_signals()
    assert all(map(math.isfinite, signals.values()))


@pytest.mark.parametrize("head", ["c51", pytest.param("quantile", marks=pytest.mark.slow)])
def test_a_run_trains_through_the_whole_loop(head: str, tmp_path: Path) -> None:
    """Beside the quick head, SAC with quantiles through the whole loop."""
    run, parts = finished(tmp_path, *EVENTFUL, *over(head))
    assert parts.learner.updates.tolist() == [float(parts.learner.updates[0])] * 2 != [0.0] * 2
    reported = [row["metrics"]["critic/loss"] for row in rows(run) if "critic/loss" in row.get("metrics", {})]
    assert len(reported) == 8 and all(map(math.isfinite, reported)) and min(reported) > 0


def agree(agent: Learner, twin: Learner) -> None:
    theirs = twin.tensors()
    for name, value in agent.tensors().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_one_graph_serves_all_updates_and_supports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone proves that supports of distributions may change without a new graph."""
    graphs = Graphs(monkeypatch)
    wider = f"networks.critic.head={HEADS['hl_gauss'].replace('-3.0', '-5.0').replace('0.75', '1.5')}"
    for changes in ([], [wider, "seeds=[4, 5]"]):
        options = (*over("hl_gauss"), "seeds=[0, 1]", *changes)
        agent, twin = learner(*options, choice=Choice(True, "a test")), learner(*options)
        for step in range(2):
            agent.update(batch(agent, step))
            twin.update(batch(agent, step))
        agree(agent, twin)
    assert len(set(graphs.graphs)) == 1


@pytest.mark.slow
def test_compiled_and_eager_updates_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone traces random levels inside an update. (Code of them: tests/networks/test_heads.py.)"""
    captured_without_code(monkeypatch)
    short = "{ trunk = { kind = 'linear', width = 8 }"  # A compilation costs by the number of layers.
    networks = f"{{ actor = {short}, head = {{ kind = 'tanh_gaussian' }} }}, critic = {short} }} }}"
    options = (f"networks={networks}", *over("implicit_quantile"))
    agent, twin = learner(*options, choice=Choice(True, "a test")), learner(*options)
    for step in range(3):
        agent.update(batch(agent, step))
        twin.update(batch(agent, step))
    agree(agent, twin)


@pytest.mark.slow
def test_a_run_with_random_levels_resumes_exactly(tmp_path: Path) -> None:
    """The streams of drawn levels are state: stopped and resumed is as if never stopped, and they have moved."""
    options = (*EVENTFUL, *over("implicit_quantile"))
    run, parts = finished(tmp_path / "whole", *options)
    halted = stopped(*begin(tmp_path / "halted", *options), at=90)
    assert result(resumed(halted)) == result(run)
    tensors = parts.learner.tensors()
    assert tensors["networks/critic/head.draws"].flatten().tolist() == [int(parts.learner.updates[0])] * 4
    assert len(set(tensors["networks/critic/head.key"].flatten().tolist())) == 4
    assert not tensors["averages/target_critic/head.draws"].any()


@pytest.mark.parametrize(
    ("head", "got"),
    [
        (
            "kind = 'quantile', quantiles = 5, values = 'per_action'",
            "'quantile' as it is set here gives 'action_values'",
        ),
        ("kind = 'deterministic_tanh'", "'deterministic_tanh' as it is set here gives 'deterministic_action'"),
    ],
)
def test_a_head_that_does_not_fit_is_refused_with_those_that_do(head: str, got: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(f"networks.critic.head={{ {head} }}")
    fitting = "'categorical_value', 'implicit_quantile', 'quantile', 'scalar', 'two_hot_value'"
    assert f"SAC's critic needs a head that gives 'value': {fitting}; {got}" in str(caught.value)
