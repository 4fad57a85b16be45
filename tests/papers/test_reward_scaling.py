"""Scales of rewards by hand: SimbaV2's rule, arXiv:2502.15280, and that of return normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tiny_deterministic import SIMBA, batch, blueprint_of, learner, state
from torch import Tensor

from composer.algorithms.normalization.returns import BoundedScale, ReturnScale, RunningReturns
from composer.algorithms.normalization.spec import ConstantScaling, ReturnScaling, SimbaV2Scaling, XQCScaling
from composer.blueprint import BlueprintError
from composer.optim.hyperparameters import Hyperparameters
from composer.training.diagnose.view import LearnerView

DISCOUNT = 0.9
# Two environments: one is truncated after its second reward and terminates with its fourth, the other goes on.
REWARDS = [[1.0, -2.0], [3.0, 0.5], [-4.0, 0.0], [2.0, 1.0], [1.0, 1.0]]
TERMINATED = [[0, 0], [0, 0], [0, 0], [1, 0], [0, 0]]
TRUNCATED = [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]]
SIMBA_V2 = [
    *([1.0, -2.0], [3.0, 0.9 * -2 + 0.5]),  # Done with this reward: what came before is left out, the reward is not.
    *([0.9 * 3 - 4, 0.81 * -2 + 0.45], [2.0, 0.729 * -2 + 0.405 + 1]),
    [0.9 * 2 + 1, 0.6561 * -2 + 0.3645 + 0.9 + 1],
]
BASELINES = [
    *([1.0, -2.0], [0.9 + 3, 0.9 * -2 + 0.5]),  # Counted whole; then an episode that is done leaves nothing.
    *([-4.0, 0.81 * -2 + 0.45], [0.9 * -4 + 2, 0.729 * -2 + 0.405 + 1]),
    [1.0, 0.6561 * -2 + 0.3645 + 0.9 + 1],
]


def numbers(seeds: int) -> Hyperparameters:
    return Hyperparameters(seeds, "cpu")


def one(values: Sequence[float]) -> Tensor:
    return torch.tensor([values])


def fed(scale: RunningReturns) -> RunningReturns:
    for reward, terminated, truncated in zip(REWARDS, TERMINATED, TRUNCATED, strict=True):
        scale.observe(one(reward), one(terminated).bool(), one(truncated).bool())
    return scale


def variance(returns: Sequence[Sequence[float]]) -> float:
    """Of the population, with the starting values as 1e-4 returns of mean 0 and variance 1."""
    flat = np.asarray(returns).ravel()
    total = flat.size + 1e-4
    return float(((flat**2).sum() + 1e-4) / total - (flat.sum() / total) ** 2)


def test_simba_v2_by_hand() -> None:
    scale = SimbaV2Scaling().build(numbers(1), 2, torch.tensor([DISCOUNT], dtype=torch.float64))
    assert isinstance(scale, BoundedScale)
    seen = []
    for reward, terminated, truncated in zip(REWARDS, TERMINATED, TRUNCATED, strict=True):
        scale.observe(one(reward), one(terminated).bool(), one(truncated).bool())
        seen.append(scale.returns[0].tolist())
    np.testing.assert_allclose(seen, SIMBA_V2, rtol=1e-12)
    deviation = math.sqrt(variance(SIMBA_V2) + 1e-8)
    assert scale.largest.item() == 3.0
    assert scale.scale().item() == pytest.approx(1 / deviation, rel=1e-6), "the deviation is above 3 / 5"
    tight = fed(SimbaV2Scaling(bound=1.0).build(numbers(1), 2, torch.tensor([DISCOUNT])))
    assert 3.0 > deviation
    assert tight.scale().item() == pytest.approx(1 / 3.0, rel=1e-6), "the largest return becomes the bound"


def test_xqc_adds_epsilon_to_the_deviation_and_has_no_bound() -> None:
    scale = fed(XQCScaling(epsilon=0.5).build(numbers(1), 2, torch.tensor([DISCOUNT])))
    assert scale.scale().item() == pytest.approx(1 / (math.sqrt(variance(SIMBA_V2)) + 0.5), rel=1e-6)
    assert scale.tensors().keys() == {"returns", "mean", "variance", "weight"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_simba_v2_counts_a_reward_when_the_policy_acts_again(seeds: int) -> None:
    """So does its code: the updates of an interaction know all rewards but its own."""
    discount = torch.full((seeds,), DISCOUNT, dtype=torch.float64)
    late, at_once = (SimbaV2Scaling().build(numbers(seeds), 2, discount) for _ in range(2))
    before = {name: value.clone() for name, value in at_once.tensors().items()}
    for number, each in enumerate(zip(REWARDS, TERMINATED, TRUNCATED, strict=True)):
        reward, terminated, truncated = (one(part).expand(seeds, -1) for part in each)
        if number:
            late.count_waiting()
        late.arrive(reward, terminated.bool(), truncated.bool())
        for name in ("returns", "mean", "variance", "weight", "largest"):
            assert torch.equal(late.tensors()[name], before[name]), name
        at_once.observe(reward, terminated.bool(), truncated.bool())
        before = {name: value.clone() for name, value in at_once.tensors().items()}
    before_updates = SimbaV2Scaling(counts="before").build(numbers(seeds), 2, discount)
    for each in zip(REWARDS, TERMINATED, TRUNCATED, strict=True):
        reward, terminated, truncated = (one(part).expand(seeds, -1) for part in each)
        before_updates.arrive(reward, terminated.bool(), truncated.bool())
        before_updates.count_waiting()
    assert torch.equal(before_updates.scale(), at_once.scale()), "FlashSAC's code counts at once"
    baselines = ReturnScaling().build(numbers(1), 2, discount[:1])
    baselines.arrive(one(REWARDS[0]), one(TERMINATED[0]).bool(), one(TRUNCATED[0]).bool())
    baselines.count_waiting()
    assert baselines.returns.tolist() == [[1.0, -2.0]], "others count it at once"


def test_the_largest_return_is_one_in_size_and_is_never_forgotten() -> None:
    scale = SimbaV2Scaling().build(numbers(1), 1, torch.tensor([0.0]))
    no = torch.zeros(1, 1, dtype=torch.bool)
    for reward in (1.0, -60.0, 2.0, *[0.0] * 400):
        scale.observe(torch.tensor([[reward]]), no, no)
    assert scale.deviation().item() < 60 / 5
    assert scale.scaled(torch.tensor([[-60.0, 30.0]])).tolist() == [[-5.0, 2.5]]


def test_return_scale_by_hand() -> None:
    scale = fed(ReturnScaling(clip=0.5).build(numbers(1), 2, torch.tensor([DISCOUNT], dtype=torch.float64)))
    assert isinstance(scale, ReturnScale)
    deviation = math.sqrt(variance(BASELINES) + 1e-8)
    assert scale.deviation().item() == pytest.approx(deviation, rel=1e-9)
    got = scale.scaled(torch.tensor([[0.1, -100.0, 100.0]]))
    torch.testing.assert_close(got, torch.tensor([[0.1 / deviation, -0.5, 0.5]]))


def test_nothing_seen_leaves_rewards_as_they_are() -> None:
    for declared in (ReturnScaling(), SimbaV2Scaling()):
        scale = declared.build(numbers(2), 3, torch.full((2,), DISCOUNT))
        torch.testing.assert_close(scale.scale(), torch.ones(2))


def test_seeds_keep_their_own_and_the_discount_is_the_one_of_the_moment() -> None:
    discount = torch.tensor([0.9, 0.5])
    together = SimbaV2Scaling().build(numbers(2), 2, discount)
    no = torch.zeros(2, 2, dtype=torch.bool)
    for reward in REWARDS:
        together.observe(torch.tensor([reward, [5 * r for r in reward]]), no, no)
    discount[1] = 0.0
    together.observe(torch.ones(2, 2), no, no)
    assert together.returns[1].tolist() == [1.0, 1.0]
    for index, own in enumerate([0.9, 0.5]):
        alone = SimbaV2Scaling().build(numbers(1), 2, changed := torch.tensor([own]))
        for reward in REWARDS:
            alone.observe(one([5**index * r for r in reward]), no[:1], no[:1])
        changed[0] = discount[index]
        alone.observe(torch.ones(1, 2), no[:1], no[:1])
        for name, value in alone.tensors().items():
            assert torch.equal(value[0], together.tensors()[name][index]), name


def test_an_update_scales_raw_rewards_with_the_statistics_of_the_moment() -> None:
    """As the same update on rewards that were scaled before, by an agent that scales none."""
    scaling, plain = learner(*SIMBA), learner(*SIMBA, "normalization.reward={ kind = 'raw' }")
    assert plain.rewards is None and scaling.rewards is not None
    no = torch.zeros(1, 1, dtype=torch.bool)
    for round in range(3):
        scaling.rewards.observe(torch.tensor([[30.0 * (round + 1)]]), no, no)
        data = batch(seed=round)
        assert 0 < scaling.rewards.scale().item() < 0.2
        scaling.update(data)
        plain.update(data._replace(reward=data.reward * scaling.rewards.scale()))
    theirs = state(scaling)
    for name, value in state(plain).items():
        assert torch.equal(value, theirs[name]), name
    assert {name for name in theirs if name.startswith("normalization/reward/")} == {
        f"normalization/reward/{name}"
        for name in (
            *("returns", "mean", "variance", "weight", "largest"),
            *("waiting/reward", "waiting/terminated", "waiting/truncated"),
        )
    }


def test_diagnostics_look_at_losses_of_scaled_rewards() -> None:
    agent, blueprint = learner(), blueprint_of()
    assert agent.rewards is not None
    no = torch.zeros(1, 1, dtype=torch.bool)
    agent.rewards.observe(torch.tensor([[100.0]]), no, no)
    data = batch()
    view = LearnerView(blueprint.agent, agent, data)
    torch.testing.assert_close(view.batch.reward, data.reward / 20)  # The largest return becomes 5.


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("reward={ kind = 'return_scale', clip = 10.0 }", "td3 learns from sums of rewards"),
        ("reward={ kind = 'return_scale', clip = 0 }", "greater than 0"),
        ("reward={ kind = 'simba_v3' }", "did you mean 'simba_v2'"),
    ],
)
def test_what_cannot_be_is_refused(override: str, said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        blueprint_of(f"normalization.{override}")
    assert said in str(caught.value)


def test_a_constant_factor_counts_nothing() -> None:
    scale = ConstantScaling(factor=0.1).build(Hyperparameters(2, "cpu"), 3, torch.tensor([0.9, 0.8]))
    reward, flag = torch.randn(2, 3), torch.zeros(2, 3, dtype=torch.bool)
    for _ in range(3):
        scale.arrive(100 * reward, flag, flag)
        scale.count_waiting()
    torch.testing.assert_close(scale.scaled(reward), 0.1 * reward)
    assert scale.tensors() == {}
