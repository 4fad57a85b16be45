"""The stacked Adam and AdamW against ``torch.optim``, a seed at a time: arXiv:1412.6980, arXiv:1711.05101."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_optimizers import SHAPES, STEPS, Tensors, check, gradients, numbers, parameters, torchs

from composer.networks.stacked import kernels_last
from composer.optim import Adam, AdamW, RAdam
from composer.optim.fused_adam import can_fuse
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Linear
from composer.optim.steps import AdamState, rectification


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
def test_adam_is_torchs(betas: tuple[float, float]) -> None:
    ours = parameters(2)
    state = Adam(learning_rate=3e-3, beta1=betas[0], beta2=betas[1], epsilon=1e-6).build(ours, numbers(2))
    references = [
        torchs(lambda groups: torch.optim.Adam(groups, lr=3e-3, betas=betas, eps=1e-6), seed, 2, set(SHAPES))
        for seed in range(2)
    ]
    check(state, ours, references, 2)


@pytest.mark.parametrize(
    ("globs", "decayed"),
    [
        (["*"], set(SHAPES)),
        (["*weight"], {"trunk.0.weight", "head.weight"}),
        (["head.*"], {"head.weight"}),
        (["trunk.*.bias", "head.weight"], {"trunk.0.bias", "head.weight"}),
    ],
)
def test_adamw_is_torchs_under_every_decay_mask(globs: list[str], decayed: set[str]) -> None:
    ours = parameters(2)
    # A decay that large shows at once in whoever should not decay.
    state = AdamW(learning_rate=3e-3, weight_decay=2.0, decay=globs).build(ours, numbers(2))
    references = [
        torchs(lambda groups: torch.optim.AdamW(groups, lr=3e-3, weight_decay=2.0), seed, 2, decayed)
        for seed in range(2)
    ]
    check(state, ours, references, 2)


def test_a_linear_schedule_counts_the_optimizers_own_steps() -> None:
    ours = parameters(1)
    schedule = Linear(start=1e-2, end=1e-3, updates=40)
    state = AdamW(learning_rate=schedule, weight_decay=0.1).build(ours, numbers(1))

    def make(groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=0.1)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1e-2 + (1e-3 - 1e-2) * min(n / 40, 1.0))
        optimizer.register_step_post_hook(lambda *_: rates.step())
        return optimizer

    check(state, ours, [torchs(make, 0, 1, set(SHAPES))], 1)


def test_rates_and_step_counts_are_each_seeds_own() -> None:
    class Each:
        """A schedule with another rate for every seed."""

        def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
            return lambda updates: torch.tensor([1e-2, 1e-4])

    ours = parameters(2)
    state = AdamState(ours, numbers(2), Each(), 0.9, 0.999, 1e-8, 0.0, ())
    references = [
        torchs(lambda groups, r=rate: torch.optim.Adam(groups, lr=r), seed, 2, set(SHAPES))
        for seed, rate in enumerate([1e-2, 1e-4])
    ]
    check(state, ours, references, 2)
    # An intervention may start one seed's optimizer anew; its neighbour must not notice.
    before = {name: value.clone() for name, value in ours.items()}
    tensors = state.tensors()
    for value in tensors.values():
        value[1].zero_()
    state.step(list(gradients(2, 0).values()))
    assert tensors["clock"].tolist() == [STEPS + 1, 1]
    assert tensors["steps"].tolist() == [[STEPS + 1] * 3, [1] * 3]
    first = gradients(2, 0)
    for path in SHAPES:
        # The first step of Adam is the sign of the gradient, whatever its size.
        torch.testing.assert_close(
            ours[path][1] - before[path][1], -1e-4 * first[path][1].sign(), rtol=1e-2, atol=1e-6, msg=path
        )
    expected = references[0](0)
    for path in SHAPES:
        torch.testing.assert_close(ours[path][0], expected[path], rtol=2e-5, atol=2e-6)


def test_state_is_named_and_changed_in_place() -> None:
    ours = parameters(2)
    state = Adam(learning_rate=1e-3).build(ours, numbers(2))
    named = state.tensors()
    assert set(named) == {"clock", "steps"} | {f"{moment}.{path}" for moment in ("first", "second") for path in SHAPES}
    places = {name: value.data_ptr() for name, value in [*named.items(), *ours.items()]}
    state.step(list(gradients(2, 0).values()))
    assert {name: value.data_ptr() for name, value in [*state.tensors().items(), *ours.items()]} == places
    assert all(bool(value.any()) for value in named.values())


def test_a_parameter_may_begin_anew_alone() -> None:
    ours = parameters(2)
    state = Adam(learning_rate=1e-3).build(ours, numbers(2))
    for step in range(5):
        state.step(list(gradients(2, step).values()))
    before = {path: value.clone() for path, value in ours.items()}
    for moment in state.moments("trunk.0.bias"):
        moment[0].zero_()
    state.count("trunk.0.bias")[0] = 0
    state.step(list(gradients(2, 1).values()))
    assert state.tensors()["steps"].tolist() == [[6, 1, 6], [6, 6, 6]]
    assert state.clock().tolist() == [6, 6], "the schedule goes on"
    sign = gradients(2, 1)["trunk.0.bias"].sign()
    moved = ours["trunk.0.bias"] - before["trunk.0.bias"]
    torch.testing.assert_close(moved[0], -1e-3 * sign[0], rtol=1e-2, atol=1e-6)
    assert not torch.allclose(moved[1], -1e-3 * sign[1], rtol=1e-2, atol=1e-6), "its neighbour keeps its moments"


def test_loaded_state_goes_on_as_if_never_saved() -> None:
    ours, copies = parameters(1), parameters(1)
    state, other = (
        AdamW(learning_rate=1e-2).build(ours, numbers(1)),
        AdamW(learning_rate=1e-2).build(copies, numbers(1)),
    )
    for step in range(5):
        state.step(list(gradients(1, step).values()))
    for path, value in ours.items():
        copies[path].copy_(value)
    for name, value in state.tensors().items():
        other.tensors()[name].copy_(value)
    for step in range(5, 10):
        state.step(list(gradients(1, step).values()))
        other.step(list(gradients(1, step).values()))
    assert all(torch.equal(ours[path], copies[path]) for path in SHAPES)


@pytest.mark.parametrize("max_norm", [1e-3, 0.5])
def test_long_gradients_are_shortened_as_torch_does_a_seed_at_a_time(max_norm: float) -> None:
    """All parameters and copies of a seed together; short ones are left alone."""
    ours = parameters(2)
    state = AdamW(learning_rate=3e-3, weight_decay=0.0, epsilon=1e-2, max_gradient_norm=max_norm).build(
        ours, numbers(2)
    )

    def reference(seed: int) -> Callable[[int], Tensors]:
        theirs = {path: p[seed].clone().requires_grad_() for path, p in parameters(2).items()}
        optimizer = torch.optim.AdamW(theirs.values(), lr=3e-3, weight_decay=0.0, eps=1e-2)

        def step(number: int) -> Tensors:
            for path, gradient in gradients(2, number).items():
                theirs[path].grad = gradient[seed]
            norm = torch.nn.utils.clip_grad_norm_(theirs.values(), max_norm)
            clipped.add(bool(norm > max_norm))
            optimizer.step()
            return {path: p.detach() for path, p in theirs.items()}

        return step

    clipped: set[bool] = set()
    check(state, ours, [reference(0), reference(1)], 2)
    assert clipped == {False, True}


def test_radam_is_torchs_and_its_factor_is_that_of_the_paper() -> None:
    """Epsilon is far below every root, where torch and optax put it in different places."""
    ours = parameters(2)
    state = RAdam(learning_rate=3e-3, epsilon=1e-20).build(ours, numbers(2))
    references = [
        torchs(lambda groups: torch.optim.RAdam(groups, lr=3e-3, eps=1e-20), seed, 2, set(SHAPES)) for seed in range(2)
    ]
    check(state, ours, references, 2)
    steps = torch.arange(1.0, 8.0, dtype=torch.float64)[None]
    found = rectification(steps, torch.tensor([0.999], dtype=torch.float64))[0].tolist()
    # Six and seven gradients: rho = 1999 - 2 t b^t / (1 - b^t) written out.
    expected = []
    for step in (6, 7):
        rho = 1999 - 2 * step * 0.999**step / (1 - 0.999**step)
        expected.append(((rho - 4) * (rho - 2) * 1999 / (1995 * 1997 * rho)) ** 0.5)
    assert found[:5] == [0.0] * 5
    assert found[5:] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("is_plain", [False, True], ids=["fused", "plain"])
def test_the_fused_step_and_the_plain_one_move_everything_alike(
    is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds, a decay of some parameters; images' kernels, whose memory has the channels last, and their gradients.

    A seed moves as it does alone, to the bit.
    """
    draws = torch.Generator().manual_seed(0)
    shapes = {"kernel": (2, 1, 3, 5, 2, 2), "weight": (2, 2, 7, 11), "bias": (2, 2, 7)}
    start = {path: torch.randn(shape, generator=draws) for path, shape in shapes.items()}

    def moved(seeds: slice, plain: bool) -> dict[str, Tensor]:
        monkeypatch.setattr("composer.optim.steps.can_fuse", (lambda *_: False) if plain else can_fuse)
        ours = {path: kernels_last(value[seeds].clone()) for path, value in start.items()}
        rates, drawn = numbers(len(ours["bias"])), torch.Generator().manual_seed(1)
        state = AdamW(learning_rate=3e-2, weight_decay=0.5, decay=["weight"]).build(ours, rates)
        for _ in range(5):
            every = {path: torch.randn(shape, generator=drawn) for path, shape in shapes.items()}
            state.step([every[path][seeds] for path in ours])
        return {path: value.contiguous() for path, value in {**ours, **state.tensors()}.items()}

    found, wanted = moved(slice(2), is_plain), moved(slice(2), True)
    assert is_plain or any(not torch.equal(value, wanted[path]) for path, value in found.items())  # Another kernel.
    for path, value in found.items():
        torch.testing.assert_close(value, wanted[path], rtol=1e-5, atol=1e-6, msg=path)
    for seed in range(2):
        for path, value in moved(slice(seed, seed + 1), is_plain).items():
            assert torch.equal(value[0], found[path][seed]), path
