"""Sharpness-aware minimisation, arXiv:2010.01412: whose gradient it is, and what two passes may not do twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import DRIFT, EAGER, EVENTFUL, begin, finished, learner, result, resumed, stopped, tiny, transitions
from torch import Tensor

from composer.blueprint import BlueprintError, load
from composer.optim import Adam, Sam
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.sam_steps import SharpestGradient
from composer.training.learner import Learner

RHO = 0.3
ADAM = "{ kind = 'adam', learning_rate = 1e-3 }"
SHUFFLED = Path(__file__).parents[2] / "blueprints" / "plasticity" / "shuffled_labels.toml"
NOISY = (
    "[{ kind = 'linear', width = 16, bias = false }, { kind = 'batch_norm' }, { kind = 'relu' }, "
    "{ kind = 'dropout', rate = 0.5 }, { kind = 'linear', width = 8 }, { kind = 'tanh' }]"
)


def numbers(seeds: int) -> Hyperparameters:
    return Hyperparameters(seeds, "cpu")


def sam(rho: float = RHO, base: str = ADAM) -> str:
    return f"{{ kind = 'sam', rho = {rho}, base = {base} }}"


def test_the_gradient_is_that_of_the_summit_a_seed_at_a_time() -> None:
    """On ``f(w) = w A w / 2`` it is ``A (w + rho A w / |A w|)``."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT
    weights = {
        "a": torch.randn(2, 1, 3, generator=generator, dtype=torch.float64).requires_grad_(),
        "b": torch.randn(2, 2, 1, generator=generator, dtype=torch.float64).requires_grad_(),
    }
    before = {path: value.detach().clone() for path, value in weights.items()}

    def joined(values: dict[str, Tensor]) -> Tensor:
        return torch.cat([value.flatten(1) for value in values.values()], 1)

    def slope(signals: dict[str, Tensor]) -> tuple[Tensor, ...]:
        w = joined(weights)
        loss = 0.5 * torch.einsum("si,sij,sj->s", w, matrix, w)
        signals["loss"] = loss.detach()
        return torch.autograd.grad(loss.sum(), list(weights.values()))

    rule = Sam(rho=RHO, base=Adam()).gradient_rule(weights, numbers(2))
    signals: dict[str, Tensor] = {}
    found = rule.gradients(slope, signals, (), {})
    w = joined(before)
    g = (matrix @ w[..., None])[..., 0]
    expected = (matrix @ (w + RHO * g / g.norm(dim=1, keepdim=True))[..., None])[..., 0]
    torch.testing.assert_close(torch.cat([value.flatten(1) for value in found], 1), expected, rtol=1e-6, atol=1e-8)
    assert all(torch.equal(value, before[path]) for path, value in weights.items()), "to the bit"
    torch.testing.assert_close(signals["loss"], 0.5 * (w * g).sum(1))


def test_a_gradient_of_zeros_climbs_nowhere_and_what_is_held_does_not_move() -> None:
    weights = {"a": torch.ones(2, 1, 2), "b": torch.ones(2, 1, 2)}
    seen: list[Tensor] = []

    def slope(signals: dict[str, Tensor]) -> list[Tensor]:
        seen.append(torch.stack(list(weights.values())).clone())
        return [torch.ones(2, 1, 2), torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]])]

    rule = Sam(rho=RHO, base=Adam()).gradient_rule(weights, numbers(2))
    rule.gradients(slope, {}, (), {"a": torch.tensor([True, False])})
    assert torch.equal(seen[1][:, 0], seen[0][:, 0]), "of the first seed all is held or flat"
    torch.testing.assert_close(seen[1][:, 1] - seen[0][:, 1], torch.full((2, 1, 2), RHO / 2))


def classifier(optimizer: str, *overrides: str) -> Learner:
    """Two seeds of a small classifier."""
    small = ("seeds=[0, 5]", "environment.data={ kind = 'noise', samples = 40, width = 8 }", "algorithm.batch_size=32")
    trunk = "networks.model.trunk=[{ kind = 'linear', width = 16 }, { kind = 'tanh' }]"
    declared = (*small, "networks.model.head.classes=10", trunk, f"optimizers.model={optimizer}", *overrides)
    blueprint = load(SHUFFLED, declared).blueprint
    return Learner(blueprint.agent, "cpu", EAGER)


def labelled(number: int, agent: Learner) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randn(2, 32, 8, generator=generator)
    answers = torch.nn.functional.one_hot(torch.randint(0, 10, (2, 32), generator=generator), 10).float()
    nothing = torch.zeros(2, 32)
    return inputs, answers, nothing, nothing, inputs


def slopes(agent: Learner) -> dict[str, Tensor]:
    """The gradient of an Adam's first step, from its first moment."""
    optimizer = agent.optimizers["model"]
    return {path: optimizer.moments(path)[0] / 0.1 for path in optimizer.paths()}


def test_the_learner_steps_along_the_gradient_of_the_summit() -> None:
    pull = "penalties.pull={ kind = 'l2', where = ['model.*'], coefficient = 0.05 }"
    plain, summit, sharp = (classifier(ADAM, pull), classifier(ADAM, pull), classifier(sam(), pull))
    data = labelled(1, plain)
    plain.compute_update(*data)
    gradients = slopes(plain)
    norm = torch.stack([g.square().flatten(1).sum(1) for g in gradients.values()]).sum(0).sqrt()
    with torch.no_grad():
        for path, value in summit.networks["model"].parameters.items():
            value.add_(RHO * gradients[path] / norm.view(-1, *[1] * (value.ndim - 1)))
    summit.compute_update(*data)
    sharp.compute_update(*data)
    for path, expected in slopes(summit).items():
        torch.testing.assert_close(slopes(sharp)[path], expected, rtol=1e-4, atol=1e-6, msg=path)
        assert (expected - gradients[path]).abs().max() > 1e-3, "a test of something"
    assert sharp.drain_signals() == plain.drain_signals(), "what is reported is of the pass at the weights"


def test_buffers_take_in_one_pass_and_both_passes_drop_the_same_units() -> None:
    trunk = f"networks.critic.trunk={NOISY}"
    plain = learner("seeds=[0, 5]", trunk, f"optimizers.critic={ADAM}")
    near, far = (learner("seeds=[0, 5]", trunk, f"optimizers.critic={sam(rho)}") for rho in (1e-7, 2.0))
    for agent in (plain, near, far):
        agent.update(transitions(agent))
    names = [name for name in plain.tensors() if "running_" in name or name.endswith(("draws", "key"))]
    assert any("running_var" in name for name in names) and any("draws" in name for name in names)
    for name in names:
        for agent in (near, far):
            assert torch.equal(agent.tensors()[name], plain.tensors()[name]), name
    for path in plain.optimizers["critic"].paths():
        one, close, away = (agent.optimizers["critic"].moments(path)[0] for agent in (plain, near, far))
        # With another mask the gradient would be another one, however near the summit is.
        torch.testing.assert_close(close, one, rtol=1e-3, atol=1e-5, msg=path)
        assert not torch.allclose(away, one, rtol=1e-2, atol=1e-5), path


@pytest.mark.slow
def test_resume_is_exact(tmp_path: Path) -> None:
    """Alone proves exact resume with sharpness-aware minimisation."""
    upgd = "{ kind = 'upgd', learning_rate = 1e-3 }"
    declared = (
        *EVENTFUL,
        f"networks.critic.trunk={NOISY}",
        f"optimizers.critic={sam(base=upgd)}",
        f"optimizers.actor={sam()}",
        f"optimizers.temperature={sam()}",
    )
    run, parts = finished(tmp_path / "whole", *declared)
    assert all(isinstance(rule, SharpestGradient) for rule in parts.learner._gradient_step._rules.values())
    again = stopped(*begin(tmp_path / "again", *declared), at=90)
    assert result(resumed(again)) == result(run)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (sam(base=sam()), "'base' is the optimizer that steps; it cannot be 'sam' again"),
        (sam(base="{ kind = 'adamw', decay = ['tronk.*'] }"), "'tronk.*' matches no parameter"),
        (sam(0.0), "optimizers.critic.rho"),
    ],
)
def test_what_is_wrong_is_told(optimizer: str, message: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        tiny(DRIFT, f"optimizers.critic={optimizer}")
    assert message in str(caught.value)
