"""CrossQ, XQC and FlashSAC written a second time, in float64: joint batches and targets.

arXiv:1902.05605, arXiv:2509.25174, arXiv:2604.04539.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from tiny_runs import DRIFT, EAGER, transitions
from torch import Tensor

from composer.algorithms.program import Batch, BuiltAgent, Program
from composer.blueprint import Blueprint, BlueprintError, load
from composer.networks.stacked import Stacked
from composer.optim.hyperparameters import Hyperparameters
from composer.spec.package_files import blueprints_root
from composer.training.learner import Learner

B, OBSERVATION, ACTION, WIDTH = 6, 3, 2, 5
SMALL = (
    *("seeds=[0]", "algorithm.batch_size=6", "algorithm.warmup_interactions=30", "tracking.kind=none"),
    *("compute.threads=1", "compute.compile=never", "replay.capacity=60", "training.env_steps=60"),
    *(f"networks.{role}.trunk.width={WIDTH}" for role in ("actor", "critic")),
    'environment={ kind = "test/drift" }',
)
assert DRIFT == SMALL[-1]
Values = Mapping[str, Tensor]


def blueprint(name: str, *overrides: str) -> Blueprint:
    return load(blueprints_root() / "dmc" / f"{name}.toml", [*SMALL, *overrides]).blueprint


def doubled(network: Stacked) -> Stacked:
    """The network in float64; gains, shifts and running statistics are no longer as they start."""
    draws = torch.Generator().manual_seed(3)

    def moved(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value.clone()
        noise = 0.3 * torch.rand(value.shape, generator=draws, dtype=torch.float64)
        return (value.detach().double() + noise).requires_grad_(value.requires_grad)

    tensors = ({path: moved(value) for path, value in held.items()} for held in (network.parameters, network.buffers))
    return Stacked(network.template, *tensors)


def program(name: str, *overrides: str) -> tuple[Program, BuiltAgent]:
    """The algorithm's own program over networks in float64."""
    declared = blueprint(name, *overrides)
    built = Learner(declared.agent, "cpu", EAGER).built
    built = replace(
        built,
        networks={role: doubled(each) for role, each in built.networks.items()},
        averages={role: doubled(each) for role, each in built.averages.items()},
        scalars={role: value.detach().double().requires_grad_() for role, value in built.scalars.items()},
    )
    for each in built.returns.values():
        for key, value in vars(each).items():
            setattr(each, key, value.double() if isinstance(value, Tensor) else value)
    return declared.algorithm.build(built, declared.agent.info, Hyperparameters(1, "cpu")), built


def data(seed: int = 0) -> tuple[Batch, dict[str, Tensor]]:
    """Current and next pairs of other scales, so that statistics of one half are not those of both."""
    draws = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(1, B, *shape, generator=draws, dtype=torch.float64)

    bootstrap = torch.tensor([[0.97, 0.0, 0.97, 0.97, 0.0, 0.97]], dtype=torch.float64)
    noise = {"actor": draw(ACTION), "target": draw(ACTION)}
    return Batch(draw(OBSERVATION), draw(ACTION).tanh(), draw(), bootstrap, 3 * draw(OBSERVATION) + 1), noise


def member(network: Stacked, copy: int = 0) -> dict[str, Tensor]:
    return {path: value[0, copy] for path, value in network.tensors().items()}


def normalised(x: Tensor, net: Values, at: str, in_training: bool, epsilon: float = 1e-3) -> Tensor:
    """By the moments of the batch as it is, or by the running ones; ``epsilon`` 1e-3 in the code of CrossQ and XQC."""
    mean, variance = net[f"{at}.running_mean"], net[f"{at}.running_var"]
    if in_training:
        mean = x.sum(0) / len(x)
        variance = (x - mean).pow(2).sum(0) / len(x)
    return (x - mean) / (variance + epsilon).sqrt() * net[f"{at}.weight"] + net[f"{at}.bias"]


def crossq(net: Values, x: Tensor, in_training: bool) -> Tensor:
    x = normalised(x, net, "trunk.0", in_training)
    for block in ("trunk.1.0", "trunk.1.1"):
        x = (x @ net[f"{block}.0.weight"].T + net[f"{block}.0.bias"]).relu()
        x = normalised(x, net, f"{block}.2", in_training)
    return x


def xqc(net: Values, x: Tensor, in_training: bool) -> Tensor:
    x = normalised(x, net, "trunk.0", in_training)
    for block in range(4):
        x = x @ net[f"trunk.1.{block}.0.weight"].T
        x = normalised(x, net, f"trunk.1.{block}.1", in_training).relu()
    return x


def flash_sac(net: Values, x: Tensor, in_training: bool) -> Tensor:
    """Two blocks on a stream that nothing normalises, then its mean square brought to 1."""
    x = normalised(x, net, "trunk.0", in_training, 1e-5) @ net["trunk.1.weight"].T
    for block in (f"trunk.2.{index}.block" for index in range(2)):
        y = normalised(x @ net[f"{block}.0.weight"].T, net, f"{block}.1", in_training, 1e-5).relu()
        y = normalised(y @ net[f"{block}.3.weight"].T, net, f"{block}.4", in_training, 1e-5).relu()
        x = x + y
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * net["trunk.3.weight"]


TRUNKS = {"crossq": crossq, "xqc": xqc, "flash_sac": flash_sac}


def log_std(net: Values, features: Tensor, low: float) -> Tensor:
    """Clipped, or as in FlashSAC mapped by a tanh: those networks have a residual block."""
    raw = head(net, features, "log_std")
    return low + (2 - low) / 2 * (1 + raw.tanh()) if "trunk.2.0.block.0.weight" in net else raw.clip(low, 2)


def head(net: Values, x: Tensor, name: str) -> Tensor:
    return x @ net[f"head.{name}.weight"].T + net[f"head.{name}.bias"]


def policy(features: Tensor, net: Values, noise: Tensor, low: float) -> tuple[Tensor, Tensor]:
    """Action and log-density by the change of variables."""
    mean, deviation = head(net, features, "mean"), log_std(net, features, low).exp()
    before = mean + deviation * noise
    gaussian = torch.distributions.Normal(mean, deviation).log_prob(before).sum(-1)
    return before.tanh(), gaussian + 2 * before.cosh().log().sum(-1)  # The slope of tanh is 1 / cosh^2.


def pairs(built: BuiltAgent, batch: Batch, noise: Values, trunk: str, low: float) -> tuple[Tensor, Tensor]:
    """The joint batch ``[2 B, d + a]``, next actions drawn in evaluation mode, and their log-densities."""
    actor = member(built.networks["actor"])
    following = TRUNKS[trunk](actor, batch.next_observation[0], False)
    action, density = policy(following, actor, noise["target"][0], low)
    now = torch.cat([batch.observation[0], batch.action[0]], -1)
    return torch.cat([now, torch.cat([batch.next_observation[0], action], -1)]).detach(), density.detach()


def crossq_loss(built: BuiltAgent, batch: Batch, joint: Tensor, density: Tensor, joins: bool = True) -> Tensor:
    """Twice the loss of the released code, which halves errors; ``joins`` false makes two passes of it."""
    alpha, values = built.scalars["temperature"][0, 0].exp(), []
    for copy in range(2):
        net = member(built.networks["critic"], copy)
        halves = [joint] if joins else [joint[:B], joint[B:]]
        values.append(torch.cat([head(net, crossq(net, half, True), "linear")[:, 0] for half in halves]))
    following = torch.minimum(values[0][B:], values[1][B:]) - alpha * density
    target = (batch.reward[0] + batch.bootstrap[0] * following).detach()
    return sum(((each[:B] - target) ** 2).mean() for each in values)  # type: ignore[return-value]


def test_crossqs_loss_has_the_statistics_of_both_halves_and_no_target() -> None:
    made, built = program("crossq")
    batch, noise = data()
    joint, density = pairs(built, batch, noise, "crossq", -20)
    expected = crossq_loss(built, batch, joint, density)
    apart = crossq_loss(built, batch, joint, density, joins=False)
    before = {path: value.clone() for path, value in built.networks["critic"].buffers.items()}
    loss = made.objectives[0].loss(batch, noise, {})
    torch.testing.assert_close(loss[0], expected, rtol=1e-10, atol=0)
    assert abs(expected - apart) > 0.01 * expected, "two passes give another loss"
    now = built.networks["critic"].buffers
    torch.testing.assert_close(
        now["trunk.0.running_mean"][0, 0], 0.99 * before["trunk.0.running_mean"][0, 0] + 0.01 * joint.mean(0)
    )
    assert (now["trunk.1.1.2.steps"] == 1).all(), "one pass, whose statistics are taken in once"


def test_crossqs_gradient_holds_the_target_and_not_the_statistics() -> None:
    """Along random directions by central differences, with the target as it was."""
    made, built = program("crossq")
    batch, noise = data(1)
    critic, copies = built.networks["critic"], range(2)
    joint, density = pairs(built, batch, noise, "crossq", -20)
    loss = made.objectives[0].loss(batch, noise, {})
    gradients = torch.autograd.grad(loss.sum(), list(critic.parameters.values()))
    nets = [member(critic, copy) for copy in copies]

    def values(step: float, along: Mapping[str, Tensor]) -> list[Tensor]:
        moved = [{p: v + step * along[p][0, c] if p in along else v for p, v in nets[c].items()} for c in copies]
        return [head(net, crossq(net, joint, True), "linear")[:, 0].detach() for net in moved]

    for seed in range(3):
        draws = torch.Generator().manual_seed(seed)
        along = {p: torch.randn(v.shape, generator=draws, dtype=torch.float64) for p, v in critic.parameters.items()}
        still = values(0.0, along)
        alpha = built.scalars["temperature"][0, 0].detach().exp()
        target = batch.reward[0] + batch.bootstrap[0] * (torch.minimum(still[0][B:], still[1][B:]) - alpha * density)
        up, down = (sum(((v[:B] - target) ** 2).mean() for v in values(step, along)) for step in (1e-6, -1e-6))
        expected = sum((g * along[p]).sum() for g, p in zip(gradients, critic.parameters, strict=True))
        assert float((up - down) / 2e-6) == pytest.approx(float(expected), rel=1e-5)


def projected(probabilities: Tensor, points: Tensor, atoms: Tensor) -> Tensor:
    """Each point's probability split between its two neighbours, one point after the other."""
    found = torch.zeros_like(probabilities)
    for row in range(len(points)):
        for index in range(len(atoms)):
            position = (float(points[row, index].clip(-5, 5)) + 5) / 0.1
            low = min(math.floor(position), len(atoms) - 2)
            found[row, low] += probabilities[row, index] * (low + 1 - position)
            found[row, low + 1] += probabilities[row, index] * (position - low)
    return found


def loss_of(made: Program, role: str) -> Callable[..., Tensor]:
    return next(each.loss for each in made.objectives if each.role == role)


@pytest.mark.parametrize("name", ["xqc", "flash_sac"])
def test_targets_read_the_joint_batch_and_leave_running_statistics_alone(name: str) -> None:
    """FlashSAC's loss is the mean over critics: half of this one."""
    made, built = program(name)
    batch, noise = data(2)
    joint, density = pairs(built, batch, noise, name, -10)
    trunk, critic_loss = TRUNKS[name], loss_of(made, "critic")
    target, atoms = built.averages["target_critic"], torch.linspace(-5, 5, 101, dtype=torch.float64)
    logits = torch.stack(
        [head(net, trunk(net, joint, True)[B:], "linear") for net in map(member, [target] * 2, range(2))]
    )
    probabilities = logits.softmax(-1)
    lower = (probabilities * atoms).sum(-1).argmin(0)
    alpha = built.scalars["temperature"][0, 0].exp()
    points = batch.reward[0, :, None] + batch.bootstrap[0, :, None] * (atoms - (alpha * density)[:, None])
    want = projected(probabilities[lower, range(B)].detach(), points.detach(), atoms)
    online = [member(built.networks["critic"], copy) for copy in range(2)]
    predicted = [head(net, trunk(net, joint, True)[:B], "linear").log_softmax(-1) for net in online]
    expected = sum(-(want * each).sum(-1).mean() for each in predicted)
    before = {path: value.clone() for path, value in target.buffers.items()}
    loss = critic_loss(batch, noise, {})
    torch.testing.assert_close(loss[0], expected, rtol=1e-6, atol=0)
    trained = list(built.networks["critic"].parameters.values())
    ours, theirs = (torch.autograd.grad(each.sum(), trained, retain_graph=True) for each in (loss, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)  # Its atoms are rounded to float32.
    for path, value in target.buffers.items():
        assert torch.equal(value, before[path]), path
        value.add_(1)
    assert torch.equal(critic_loss(batch, noise, {}), loss), "running statistics of the target do not count"


@pytest.mark.parametrize(("name", "joins"), [("xqc", False), ("flash_sac", True)])
def test_the_actor_reads_its_batch_and_the_critics_running_statistics(name: str, joins: bool) -> None:
    """With ``joint_actor`` next observations count in the actor's statistics, and not in its loss, as in FlashSAC."""
    made, built = program(name)
    trunk = TRUNKS[name]
    batch, noise = data(3)
    actor, critic = member(built.networks["actor"]), built.networks["critic"]
    seen = torch.cat([batch.observation[0], batch.next_observation[0]]) if joins else batch.observation[0]
    start = actor["trunk.0.running_mean"].clone()
    action, density = policy(trunk(actor, seen, True)[:B], actor, noise["actor"][0], -10)
    joined, atoms = torch.cat([batch.observation[0], action], -1), torch.linspace(-5, 5, 101, dtype=torch.float64)
    logits = [head(net, trunk(net, joined, False), "linear") for net in map(member, [critic] * 2, range(2))]
    values = torch.stack([(each.softmax(-1) * atoms).sum(-1) for each in logits])
    expected = (built.scalars["temperature"][0, 0].exp() * density - values.amin(0)).mean()
    loss = loss_of(made, "actor")(batch, noise, {})
    torch.testing.assert_close(loss[0], expected, rtol=1e-6, atol=0)
    moved = built.networks["actor"].buffers["trunk.0.running_mean"][0, 0]
    torch.testing.assert_close(moved, 0.99 * start + 0.01 * seen.mean(0))


CHANGES = {
    # By blueprint: updates at which the actor's weights and its running statistics change.
    "crossq": ({3, 6}, {3, 6}),
    "xqc": ({1, 4, 7}, {1, 2, 3, 4, 5, 6, 7}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_actor_and_the_temperature_wait(name: str) -> None:
    """CrossQ leaves whole steps out, its statistics too; XQC leaves out the optimizer alone, from the second update."""
    agent = Learner(blueprint(name, "seeds=[0, 5]", "algorithm.batch_size=32").agent, "cpu", EAGER)
    assert [each.role for each in agent.program.objectives] == ["critic", "actor", "temperature"]
    weights, statistics, learned = set(), set(), set()
    for number in range(1, 8):
        before = {key: value.detach().clone() for key, value in agent.tensors().items()}
        agent.update(transitions(agent, number))
        changed = {key for key, value in agent.tensors().items() if not torch.equal(value, before[key])}
        weights |= {number} if "networks/actor/head.mean.bias" in changed else set()
        learned |= {number} if "networks/temperature/value" in changed else set()
        statistics |= {number} if "networks/actor/trunk.0.running_mean" in changed else set()
        assert "networks/critic/trunk.0.running_mean" in changed and "networks/critic/head.linear.weight" in changed
    assert (weights, statistics, learned) == (*CHANGES[name], CHANGES[name][0])
    clocks = {role: agent.tensors()[f"optimizers/{role}/clock"].tolist() for role in ("actor", "temperature", "critic")}
    assert clocks == {**dict.fromkeys(("actor", "temperature"), [float(len(weights))] * 2), "critic": [7.0] * 2}
    for path, plan in agent.outlines["actor"].named_parameters():
        if plan.unit_axis is not None:
            norms = agent.networks["actor"].parameters[path].norm(dim=-1)
            torch.testing.assert_close(norms, torch.ones_like(norms))


def test_only_a_joint_batch_does_without_a_target() -> None:
    with pytest.raises(BlueprintError, match=r"add averages\.target_critic = .*, or algorithm.joint_batch = true"):
        blueprint("crossq", "algorithm.joint_batch=false")
    assert not Learner(blueprint("crossq").agent, "cpu", EAGER).averages
    with pytest.raises(BlueprintError, match=r"reads no average 'targetcritic' .*did you mean 'target_critic'\?"):
        blueprint("crossq", 'averages.targetcritic={ of="critic", momentum=0.9 }')
    assert blueprint("crossq", 'averages.average_critic={ of="critic", momentum=0.9 }').averages, "a name of its own"
