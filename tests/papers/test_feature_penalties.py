"""Penalties on features: closed forms in float64, and their gradients in an update of a whole agent."""

from __future__ import annotations

import pytest
import torch
from tiny_runs import DRIFT, learner, tiny, transitions
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.optim.penalties import Dr3, FeatureNorm, FeatureRank

ALL = {"where": ["critic.*"], "coefficient": 1.0}
TRUNK = "networks.critic.trunk=[{ kind = 'linear', width = 12 }, { kind = 'tanh' }]"


def features(seed: int, batch: int = 7, width: int = 4) -> Tensor:
    """Of two seeds with three copies."""
    return torch.randn(2, 3, batch, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_norms_and_products_are_means_over_the_batch_and_sums_over_copies() -> None:
    now, following = features(0), features(1)
    for seed in range(2):
        squares = sum(float((now[seed, c] ** 2).sum()) / 7 for c in range(3))
        products = sum(float(now[seed, c, b] @ following[seed, c, b]) / 7 for c in range(3) for b in range(7))
        torch.testing.assert_close(FeatureNorm(**ALL).term(now, following, None)[seed].item(), squares)
        torch.testing.assert_close(Dr3(**ALL).term(now, following, None)[seed].item(), products)


@pytest.mark.parametrize(("batch", "width"), [(7, 4), (4, 7)])
def test_the_rank_penalty_is_the_spread_of_squared_singular_values(batch: int, width: int) -> None:
    """With the gradient ``2 (s_1 u_1 v_1^T - s_n u_n v_n^T) / B``; a matrix of equal singular values costs nothing."""
    now, penalty = features(0, batch, width).requires_grad_(), FeatureRank(**ALL)
    left, singular, right = torch.linalg.svd(now.detach(), full_matrices=False)
    found = penalty.term(now, None, None)
    torch.testing.assert_close(found, ((singular[..., 0] ** 2 - singular[..., -1] ** 2) / batch).sum(1))
    (slope,) = torch.autograd.grad(found.sum(), now)
    ends = [singular[..., i, None, None] * left[..., :, i, None] * right[..., i, None, :] for i in (0, -1)]
    torch.testing.assert_close(slope, 2 * (ends[0] - ends[1]) / batch)
    flat = torch.linalg.qr(now.detach() if batch > width else now.detach().mT).Q
    torch.testing.assert_close(penalty.term(flat, None, None), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)


def test_an_update_adds_the_gradient_of_the_penalty() -> None:
    """Of one plain step: the difference of weights is minus the rate times the gradient of the penalty alone."""
    rate, sgd = 0.01, "optimizers.critic={ kind = 'sgd', learning_rate = 0.01 }"
    declared = ("seeds=[0, 5]", TRUNK, sgd)
    penalty = "penalties.it={ kind = 'dr3', where = ['critic.head.*'], coefficient = 0.5 }"
    plain, penalised = learner(*declared), learner(*declared, penalty)
    batch, critic = transitions(plain), plain.networks["critic"]
    weights = {path: value for path, value in critic.child("trunk").parameters.items()}
    noises: list[dict[str, Tensor]] = []
    inputs = penalised.program.inputs
    penalised._gradient_step._inputs = lambda b, noise: (noises.append(dict(noise)), inputs(b, noise))[1]
    penalised.update(batch)
    # The critic steps after the actor in both: what it reads is what the penalised one saw.
    start = {path: value.detach().clone() for path, value in weights.items()}
    plain.update(batch)
    with torch.no_grad():
        for path, value in start.items():
            weights[path].copy_(value)
    given = plain.program.inputs(plain.batch(batch), noises[0])["critic"]
    now, following = (critic.child("trunk")(x) for x in (given.now.detach(), given.following.detach()))
    slopes = torch.autograd.grad(0.5 * (now * following).sum(-1).mean(-1).sum(), list(weights.values()))
    reference = learner(*declared)
    reference.update(batch)
    for (path, _), slope in zip(weights.items(), slopes, strict=True):
        ours, theirs = (each.networks["critic"].parameters[f"trunk.{path}"] for each in (penalised, reference))
        torch.testing.assert_close(theirs - ours, rate * slope, rtol=1e-3, atol=1e-7)


def test_what_has_no_trunk_is_refused() -> None:
    dr3 = "penalties.it={{ kind = 'dr3', where = ['{}'], coefficient = 1.0 }}"
    with pytest.raises(BlueprintError, match="is for networks with a trunk of trained layers"):
        tiny(DRIFT, dr3.format("temperature.*"))
    injection = (
        "interventions.in={ when = { kind = 'at', steps = [3], clock = 'update' }, where = ['critic.*'], "
        "do = { kind = 'inject' } }"
    )
    with pytest.raises(BlueprintError, match="the features of such a network cannot be penalised"):
        tiny(DRIFT, dr3.format("critic.*"), injection)
