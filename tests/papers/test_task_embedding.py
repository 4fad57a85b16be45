"""BRC (arXiv:2505.23150) written a second time in float64: embeddings of tasks, mixtures of critics, one update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from drift import Drift as Drift
from tiny_runs import EAGER
from torch import Tensor

from composer.algorithms.program import Batch, BuiltAgent, Program
from composer.blueprint import Blueprint, BlueprintError, load
from composer.networks.stacked import Stacked
from composer.optim.hyperparameters import Hyperparameters
from composer.replay.transitions import Transitions
from composer.spec.package_files import blueprints_root
from composer.training.learner import Learner

B, TASKS, SIZE, ACTIONS = 6, 2, 3, 2
WIDTH = 5
SMALL = (
    *("seeds=[0]", "algorithm.batch_size=6", "algorithm.warmup_interactions=30", "tracking.kind=none"),
    *("compute.threads=1", "compute.compile=never", "replay.capacity=80", "training.env_steps=400"),
    *("networks.task_embedding.trunk.width=4", "evaluation={ every = 200, episodes = 2 }"),
    *(f"networks.{role}.trunk={{ use = 'bro', width = {WIDTH}, blocks = 1 }}" for role in ("actor", "critic")),
    "environment={ kind = 'multitask', tasks = [{ kind = 'test/drift' }, { kind = 'test/drift', limit = 9 }] }",
)
Values = Mapping[str, Tensor]


def blueprint(*overrides: str) -> Blueprint:
    return load(blueprints_root() / "dmc" / "brc.toml", [*SMALL, *overrides]).blueprint


def doubled(network: Stacked, seed: int) -> Stacked:
    draws = torch.Generator().manual_seed(seed)

    def moved(value: Tensor) -> Tensor:
        noise = 0.3 * torch.rand(value.shape, generator=draws, dtype=torch.float64)
        return (value.detach().double() + noise).requires_grad_(value.requires_grad)

    return Stacked(network.template, {path: moved(value) for path, value in network.parameters.items()}, {})


def program() -> tuple[Program, BuiltAgent]:
    declared = blueprint()
    built = Learner(declared.agent, "cpu", EAGER).built
    built = replace(
        built,
        networks={role: doubled(each, 3) for role, each in built.networks.items()},
        averages={role: doubled(each, 4) for role, each in built.averages.items()},
        scalars={role: value.detach().double().requires_grad_() for role, value in built.scalars.items()},
    )
    for each in built.returns.values():
        for key, value in vars(each).items():
            setattr(each, key, value.double() if isinstance(value, Tensor) else value)
    return declared.algorithm.build(built, declared.agent.info, Hyperparameters(1, "cpu")), built


def data() -> tuple[Batch, dict[str, Tensor]]:
    draws = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(1, B, *shape, generator=draws, dtype=torch.float64)

    named = torch.eye(TASKS, dtype=torch.float64)[[0, 1, 1, 0, 0, 1]][None]
    now, following = (torch.cat([draw(SIZE), named], -1) for _ in range(2))
    bootstrap = torch.tensor([[0.97, 0.0, 0.97, 0.97, 0.0, 0.97]], dtype=torch.float64)
    return Batch(now, draw(ACTIONS).tanh(), draw(), bootstrap, following), {
        "actor": draw(ACTIONS),
        "target": draw(ACTIONS),
    }


def member(network: Stacked, copy: int = 0) -> dict[str, Tensor]:
    return {path: value[0, copy] for path, value in network.parameters.items()}


def embedded(net: Values, observation: Tensor) -> Tensor:
    """The row of the task, divided by its norm, behind the observation."""
    tasks = observation[:, SIZE:].argmax(-1)
    rows = net["trunk.0.weight"].T[tasks]
    return torch.cat([observation[:, :SIZE], rows / rows.pow(2).sum(-1, keepdim=True).sqrt()], -1)


def normed(x: Tensor, net: Values, at: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * net[f"{at}.weight"] + net[f"{at}.bias"]


def dense(x: Tensor, net: Values, at: str) -> Tensor:
    return x @ net[f"{at}.weight"].T + net[f"{at}.bias"]


def bro(net: Values, x: Tensor) -> Tensor:
    x = normed(dense(x, net, "trunk.0"), net, "trunk.1").relu()
    y = normed(dense(x, net, "trunk.3.0.block.0"), net, "trunk.3.0.block.1").relu()
    return x + normed(dense(y, net, "trunk.3.0.block.3"), net, "trunk.3.0.block.4")


def policy(net: Values, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    features = bro(net, seen)
    mean, raw = dense(features, net, "head.mean"), dense(features, net, "head.log_std")
    deviation = (-10 + 6 * (1 + raw.tanh())).exp()
    before = mean + deviation * noise
    density = torch.distributions.Normal(mean, deviation).log_prob(before).sum(-1)
    return before.tanh(), density + 2 * before.cosh().log().sum(-1)


def logits(critic: Stacked, seen: Tensor, action: Tensor) -> list[Tensor]:
    joined = torch.cat([seen, action], -1)
    return [dense(bro(net, joined), net, "head.linear") for net in (member(critic, copy) for copy in range(2))]


def loss_of(made: Program, role: str, batch: Batch, noise: Values) -> Tensor:
    return next(each for each in made.objectives if each.role == role).loss(batch, noise, {})


def test_the_critics_loss_trains_the_embedding_and_targets_have_their_own() -> None:
    made, built = program()
    batch, noise = data()
    atoms = torch.linspace(-10, 10, 101, dtype=torch.float64)
    own, slow = member(built.networks["task_embedding"]), member(built.averages["target_task_embedding"])
    later = batch.next_observation[0]
    action, density = policy(member(built.networks["actor"]), embedded(own, later), noise["target"][0])
    mixed = sum(each.softmax(-1) for each in logits(built.averages["target_critic"], embedded(slow, later), action)) / 2
    alpha = built.scalars["temperature"][0, 0].exp()
    points = (batch.reward[0, :, None] + batch.bootstrap[0, :, None] * (atoms - (alpha * density)[:, None])).detach()
    want = torch.zeros(B, 101, dtype=torch.float64)
    for row in range(B):
        for index in range(101):
            position = (float(points[row, index].clip(-10, 10)) + 10) / 0.2
            low = min(math.floor(position), 99)
            want[row, low] += mixed[row, index].detach() * (low + 1 - position)
            want[row, low + 1] += mixed[row, index].detach() * (position - low)
    now = embedded(own, batch.observation[0])
    predicted = logits(built.networks["critic"], now, batch.action[0])
    expected = sum(-(want * each.log_softmax(-1)).sum(-1).mean() for each in predicted)
    loss = loss_of(made, "critic", batch, noise)
    torch.testing.assert_close(loss[0], expected, rtol=1e-6, atol=0)
    trained = [value for role in ("critic", "task_embedding") for value in built.networks[role].parameters.values()]
    ours, theirs = (torch.autograd.grad(each.sum(), trained, retain_graph=True) for each in (loss, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)  # Its atoms are rounded to float32.
    assert ours[-1].abs().max() > 0, "the embedding follows the critics' loss"


def test_the_actors_gradient_stops_at_the_embedding() -> None:
    made, built = program()
    batch, noise = data()
    net, own = member(built.networks["actor"]), member(built.networks["task_embedding"])
    seen, atoms = embedded(own, batch.observation[0]).detach(), torch.linspace(-10, 10, 101, dtype=torch.float64)
    action, density = policy(net, seen, noise["actor"][0])
    mixed = sum(each.softmax(-1) for each in logits(built.networks["critic"], seen, action)) / 2
    alpha = built.scalars["temperature"][0, 0].exp().detach()
    expected = (alpha * density - (mixed * atoms).sum(-1)).mean()
    loss = loss_of(made, "actor", batch, noise)
    torch.testing.assert_close(loss[0], expected, rtol=1e-6, atol=0)
    embedding = list(built.networks["task_embedding"].parameters.values())
    assert torch.autograd.grad(loss.sum(), embedding, allow_unused=True) == (None,)


def test_an_update_steps_critics_and_embedding_before_actor_and_temperature() -> None:
    """All networks move, the embedding's average by a two-hundredth of it; a task's own vector alone acts on it."""
    agent = Learner(blueprint().agent, "cpu", EAGER)
    assert [each.roles for each in agent.program.objectives] == [
        ("critic", "task_embedding"), ("actor",), ("temperature",)
    ]  # fmt: skip
    tensors = agent.tensors()
    first = {name: value.detach().clone() for name, value in tensors.items()}
    batch = Batch(*(value.float() if isinstance(value, Tensor) else value for value in data()[0]))
    agent.update(Transitions(*batch[:5]))
    weight = "task_embedding/trunk.0.weight"
    now, average = tensors[f"networks/{weight}"], tensors[f"averages/target_{weight}"]
    moved = ("task_embedding/trunk.0.weight", "critic/head.linear.weight", "actor/head.mean.bias", "temperature/value")
    assert all(not torch.equal(tensors[f"networks/{name}"], first[f"networks/{name}"]) for name in moved)
    torch.testing.assert_close(average, first[f"networks/{weight}"].lerp(now.detach(), 0.005))
    one = torch.cat([batch.observation[..., :SIZE], torch.eye(TASKS)[[0] * B][None]], -1)
    before, other = agent.program.act(one, None), one.clone()
    with torch.no_grad():
        now[..., 1] += 1.0
    assert torch.equal(agent.program.act(one, None), before)
    other[..., SIZE:] = other[..., SIZE:].flip(-1)
    assert not torch.equal(agent.program.act(other, None), before)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("environment={ kind = 'test/drift' }", "algorithm.task_embedding: this environment has one task"),
        ("algorithm.joint_batch=true", "with an embedding of tasks, present and next observations are read apart"),
    ],
)
def test_what_does_not_go_together_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError, match=said):
        blueprint(override)
