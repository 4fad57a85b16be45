"""Self-predictive representations against the sums of arXiv:2007.05929, written out with plain modules."""

from __future__ import annotations

import math

import torch
from tiny_dqn import ACTIONS, AUGMENTED, BATCH, SPR, batch, learner, noise, tiny
from torch import Tensor, nn

from composer.algorithms.program import Batch
from composer.training.learner import Learner

K, LATENT, PROJECTED, WEIGHT = 2, 12, 5, 5.0
ROLES = ("value", "transition", "projection", "predictor")
PLAIN = "algorithm.augmentation=[]"


def module(agent: Learner, role: str, name: str, *overrides: str) -> nn.Module:
    """A network, or an average ``name`` of it, of seed 0."""
    blueprint = tiny(*SPR, *overrides)
    built = blueprint.networks[role].build(blueprint.agent.sound_outlines[role].input, ACTIONS)
    stack = {**agent.networks, **agent.averages}[name]
    built.load_state_dict({path: value[0, 0].detach() for path, value in stack.tensors().items()})
    return built.double().eval().requires_grad_(False)


def cosine(one: Tensor, other: Tensor) -> float:
    dot = sum(a * b for a, b in zip(one.tolist(), other.tolist(), strict=True))
    return dot / math.sqrt(float(one @ one) * float(other @ other))


def made(*overrides: str) -> Learner:
    agent = learner(*SPR, *overrides)
    for seed, average in enumerate(agent.averages.values()):
        for value in average.parameters.values():
            value.add_(0.2 * torch.randn(value.shape, generator=torch.Generator().manual_seed(seed)))
    return agent


def told(agent: Learner, seed: int = 0) -> tuple[Tensor, dict[str, Tensor], Batch]:
    data, extra = batch(agent, seed, future=K)
    seen, signals = agent.batch(data, extra), {}
    return agent.program.objectives[0].loss(seen, noise(agent), signals), signals, seen


def test_the_loss_is_the_mean_squared_distance_of_unit_vectors_while_the_episode_goes_on() -> None:
    agent = made(PLAIN)
    networks = {role: module(agent, role, role, PLAIN) for role in ROLES}
    encoder, projection = module(agent, "value", "target_value"), module(agent, "projection", "target_projection")
    loss, signals, seen = told(agent)
    total = weighed = 0.0
    for index in range(BATCH):
        latent, one = networks["value"].trunk(seen.observation[0, index].double()), 0.0
        for step in range(K):
            latent = networks["transition"](torch.cat([latent, seen.extra["future/action"][0, index, step].double()]))
            predicted = networks["predictor"](networks["projection"](latent))
            goal = projection(encoder.trunk(seen.extra["future/observation"][0, index, step].double()))
            one += seen.extra["future/alive"][0, index, step].item() * (2 - 2 * cosine(predicted, goal)) / K
        total += WEIGHT * one / BATCH
        weighed += WEIGHT * one * seen.extra["weight"][0, index].item() / BATCH
    assert abs(signals["spr/loss"].item() - total) < 1e-3 * total
    # In the loss it is weighed as errors of values are.
    assert abs(loss.item() - signals["value/loss"].item() - weighed) < 1e-3 * weighed


def test_it_trains_encoder_transition_projection_and_predictor_and_no_target() -> None:
    agent = made(PLAIN, "algorithm.spr.weight=1e6", "seeds=[0, 1]")
    loss, signals, _ = told(agent)
    predicted = signals["spr/loss"] > 1e3
    assert predicted.all(), "the loss is all but SPR's"
    for role in ROLES:
        parameters = agent.networks[role].parameters
        gradients = torch.autograd.grad(loss.sum(), list(parameters.values()), retain_graph=True)
        for path, gradient in zip(parameters, gradients, strict=True):
            if not path.startswith("head."):
                assert (gradient.flatten(1).abs().amax(1) > 10).all(), (role, path)
    targets = [value for average in agent.averages.values() for value in average.parameters.values()]
    assert not any(value.requires_grad for value in targets)


def test_an_update_moves_every_role_by_its_own_optimizer() -> None:
    rates = {"value": 1e-3, "transition": 2e-3, "projection": 3e-3, "predictor": 4e-3}
    agent = made(PLAIN, *(f"optimizers.{role}.learning_rate={rate}" for role, rate in rates.items()))
    before = {role: {p: v.detach().clone() for p, v in agent.networks[role].parameters.items()} for role in rates}
    data, extra = batch(agent, future=K)
    agent.update(data, extra)
    for role, rate in rates.items():
        moved = max((v - before[role][p]).abs().max().item() for p, v in agent.networks[role].parameters.items())
        assert abs(moved - rate) < 1e-2 * rate, "Adam's first step is its learning rate"


def test_future_observations_are_normalised_and_augmented_apart() -> None:
    agent = made()
    data, extra = batch(agent, future=K)
    seen = agent.batch(data, extra)
    assert seen.extra["future/observation"].dtype == torch.float32
    torch.testing.assert_close(seen.extra["future/observation"], agent.normalised(extra["future/observation"]))
    draws = {name: value.shape[2:] for name, value in noise(agent).items()}
    assert draws == {
        "now/0": (2,), "now/1": (1,), "following/0": (2,), "following/1": (1,), "future/0": (K, 2), "future/1": (K, 1)
    }  # fmt: skip
    first = agent.program.objectives[0].loss(seen, noise(agent), {})
    for name in draws:
        others = noise(agent)
        others[name] = others[name].flip(1)
        assert not torch.equal(agent.program.objectives[0].loss(seen, others, {}), first), name


def test_without_it_nothing_is_asked_of_the_future() -> None:
    program = learner(*AUGMENTED).program
    assert program.extras == ("weight",) and program.objectives[0].roles == ("value",)
    assert tiny(*AUGMENTED).algorithm.update_schedule(tiny(*AUGMENTED).environment.info).future == 0
