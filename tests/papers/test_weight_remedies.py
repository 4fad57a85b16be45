"""Operations on single weights, and shrinking by what is measured, against their formulas, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from surgeon import Patient, intervention
from tiny_runs import DRIFT, tiny
from torch import Tensor

from composer.blueprint import BlueprintError
from composer.interventions import Clip, Project, Prune, RenewWeights, ShrinkByDirection
from composer.networks.initializers import Zeros
from composer.networks.outline import ParameterPlan
from composer.spec.random_streams import derive
from composer.training.diagnose.view import LearnerView

SEEDS = "seeds=[0, 5]"
TRUNK = "networks.critic.trunk=[{ kind = 'linear', width = 12 }, { kind = 'relu' }]"
WEIGHT = ("critic", "weight")


def drawn(seed: int, *shape: int) -> Tensor:
    """Of two seeds with two copies."""
    return torch.randn(2, 2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Context:
    """One parameter, its gradient and the sources of new values."""

    def __init__(self, *shape: int) -> None:
        self.weight, self.slope, self.draw = (drawn(seed, *shape) for seed in range(3))
        self.held: dict[Any, Tensor] = {}

    def value(self, _: object) -> Tensor:
        return self.weight

    def gradient(self, _: object, batch: int) -> Tensor:
        return self.slope

    def fresh(self, _: object) -> Tensor:
        return self.draw

    initial = fresh

    def plan(self, _: object) -> ParameterPlan:
        shape = tuple(self.weight.shape[2:])
        return ParameterPlan(shape, Zeros(), shape[-1], shape[0])

    def memory(self, parameter: Any) -> Tensor:
        shape = () if parameter[1].endswith("firings") else self.weight.shape[2:]
        return self.held.setdefault(parameter, torch.zeros(2, 2, *shape, dtype=torch.float64))

    def fire(self, operation: Any) -> None:
        for rewrite in operation.rewrites(self, [WEIGHT]):
            entries = torch.ones_like(self.weight, dtype=torch.bool) if rewrite.entries is None else rewrite.entries
            self.weight = torch.where(entries, rewrite.value, self.weight)


@pytest.mark.parametrize(("shape", "bound"), [((3, 5), 0.7 / 8**0.5), ((3, 5, 2, 2), 0.7 / 8**0.5), ((4,), 0.7)])
def test_clipping_bounds_each_entry(shape: tuple[int, ...], bound: float) -> None:
    """arXiv:2407.01704, released bounds: factor / sqrt(out + in) of a weight, factor of a vector."""
    context = Context(*shape)
    before = context.weight
    context.fire(Clip(factor=0.7))
    assert torch.equal(context.weight, before.clamp(-bound, bound)) and not torch.equal(context.weight, before)


def test_soft_rescaling_goes_part_of_the_way_to_the_first_norm() -> None:
    context = Context(3, 5)
    before, norms = context.weight, [value.flatten(2).norm(dim=2) for value in (context.weight, context.draw)]
    context.fire(Project(amount=0.25))
    torch.testing.assert_close(context.weight.flatten(2).norm(dim=2), 0.75 * norms[0] + 0.25 * norms[1])
    directions = [value.flatten(2) / value.flatten(2).norm(dim=2, keepdim=True) for value in (before, context.weight)]
    torch.testing.assert_close(*directions)


@pytest.mark.parametrize("utility", ["magnitude", "gradient"])
def test_the_least_useful_weights_are_drawn_afresh(utility: Any) -> None:
    """By brute force for each copy: ``ceil(0.3 * 15) = 5`` entries."""
    context = Context(3, 5)
    before = context.weight
    context.fire(RenewWeights(share=0.3, utility=utility))
    for seed in range(2):
        for copy in range(2):
            old, new = before[seed, copy].flatten(), context.weight[seed, copy].flatten()
            use = (old * (1 if utility == "magnitude" else context.slope[seed, copy].flatten())).abs()
            least = set(use.argsort()[: math.ceil(0.3 * 15)].tolist())
            for index in range(15):
                source = context.draw[seed, copy].flatten() if index in least else old
                assert new[index] == source[index]


def test_pruning_follows_its_cubic_schedule_and_what_is_gone_stays_gone() -> None:
    """arXiv:1710.01878, Eq. 1 with a first sparsity of 0: ``s (1 - (1 - t / n)^3)``; updates move all weights."""
    context, operation, gone = Context(4, 5), Prune(sparsity=0.8, firings=4), torch.zeros(2, 2, 4, 5, dtype=torch.bool)
    for firing in range(1, 7):
        moved = context.weight + 0.3 * drawn(10 + firing, 4, 5)
        context.weight = moved
        context.fire(operation)
        wanted = math.floor(round(0.8 * (1 - (1 - min(firing / 4, 1)) ** 3) * 20, 9))
        zeros = context.weight == 0
        assert zeros.flatten(2).sum(2).tolist() == [[wanted] * 2] * 2
        assert bool((zeros | ~gone).all()), "none comes back"
        left = moved.abs().masked_fill(zeros, math.inf).flatten(2).amin(2)
        taken = moved.abs().masked_fill(~zeros | gone, 0).flatten(2).amax(2)
        assert bool((taken <= left).all()), "the smallest of the rest"
        gone = zeros


def test_rows_shrink_by_their_cosine_with_the_descent() -> None:
    context = Context(3, 5)
    before = context.weight
    context.fire(ShrinkByDirection(least=0.3))
    for seed in range(2):
        for copy in range(2):
            for row in range(3):
                w, g = before[seed, copy, row], -context.slope[seed, copy, row]
                factor = max(float(w @ g / (w.norm() * g.norm())), 0.3)
                torch.testing.assert_close(context.weight[seed, copy, row], factor * w)
    vector = Context(4)
    vector.fire(ShrinkByDirection())
    assert torch.equal(vector.weight, drawn(0, 4))


def test_the_more_are_dormant_the_more_is_drawn_afresh() -> None:
    """DrM, arXiv:2310.19668: with ``a = clip(1 - rate b)`` of each seed, ``w <- a w + (1 - a) fresh``."""
    keys = "rate = 0.8, least = 0.05, most = 0.9, tau = 0.2, batch = 24"
    do = f"{{ kind = 'shrink_by_dormancy', {keys} }}"
    plain, patient = Patient(SEEDS, TRUNK), Patient(SEEDS, TRUNK, intervention(do, '["critic.*"]'))
    fresh = Patient(SEEDS, TRUNK, intervention("{ kind = 'lerp', toward = { kind = 'fresh' } }", '["critic.*"]'))
    for each in (plain, patient, fresh):
        each.update(2)
        with torch.no_grad():  # Seed by seed: 0 and 14 of 24 units, both copies counted.
            bias = each.learner.networks["critic"].parameters["trunk.0.bias"]
            bias[0], bias[1, 0] = 50.0, torch.tensor([50.0] * 2 + [-50.0] * 10)
            bias[1, 1] = torch.tensor([50.0] * 8 + [-50.0] * 4)
        each.surgery.fire_planned("update", 2, 3)
    kept = torch.tensor([0.9, 1 - 0.8 * 14 / 24])
    for path, value in patient.learner.networks["critic"].parameters.items():
        old, new = (each.learner.networks["critic"].parameters[path].detach() for each in (plain, fresh))
        share = kept.view(2, *[1] * (value.ndim - 1))
        torch.testing.assert_close(value.detach(), share * old + (1 - share) * new)


def test_gradients_of_an_operation_are_those_of_the_loss_on_its_batch() -> None:
    """ReGraMa: units go whose weights have small gradients; learning is not disturbed by taking them."""

    do = "{ kind = 'recycle', by = 'gradient', tau = 0.6, batch = 24 }"
    plain, patient = Patient(SEEDS, TRUNK), Patient(SEEDS, TRUNK, intervention(do, '["critic.*"]'))
    for each in (plain, patient):
        each.update(2)
    generators = [
        torch.Generator().manual_seed(derive(seed, "intervention", "it", 0, "network", "batch")) for seed in (0, 5)
    ]
    batch = plain.replay.sample(24, plain.learner.n_step, plain.learner.discount, generators)
    slope = LearnerView(plain.blueprint.agent, plain.learner, batch).gradients("critic")["trunk.0.weight"]
    size = slope.abs().mean(3)
    expected = size / size.mean(2, keepdim=True) <= 0.6
    assert 0 < expected.sum() < expected.numel()
    before = plain.state()
    patient.surgery.fire_planned("update", 2, 3)
    after = patient.state()
    head = "networks/critic/head.linear.weight"
    assert torch.equal((after[head] == 0)[:, :, 0], expected)
    same = [name for name in before if not name.startswith("networks/critic/")]
    assert all(torch.equal(before[name], after[name]) for name in same)


def test_step_counts_alone_begin_anew() -> None:
    """Adam-Rel, arXiv:2412.17113: moments stay, and count as if the first steps were to come."""
    plain = Patient(SEEDS)
    patient = Patient(SEEDS, intervention("{ kind = 'nothing' }", '["critic.*"]', moments="steps"))
    for each in (plain, patient):
        each.update(3)
    theirs = plain.state()
    changed = {name for name, value in patient.state().items() if not torch.equal(value, theirs[name])}
    assert changed == {"optimizers/critic/steps"} and not patient.state()["optimizers/critic/steps"].any()


@pytest.mark.parametrize(
    "do",
    ["{ kind = 'renew_weights', utility = 'gradient' }", "{ kind = 'shrink_by_direction' }"],
)
def test_a_scalar_has_no_gradient_of_a_network(do: str) -> None:
    with pytest.raises(BlueprintError, match="'temperature' is no network"):
        tiny(DRIFT, intervention(do))
