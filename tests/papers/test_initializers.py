"""Initialisers against their closed forms: moments, bounds, singular values, uniformity over orthogonal matrices."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from composer.networks.initializers import (
    Constant,
    HeNormal,
    Initializer,
    LecunNormal,
    Normal,
    Ones,
    Orthogonal,
    UniformFanIn,
    XavierNormal,
    XavierUniform,
    Zeros,
)
from composer.spec.shape import Shape, ShapeError

INITIALIZERS: TypeAdapter[Initializer] = TypeAdapter(Initializer)
FAN_IN, FAN_OUT = 400, 1000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(initializer: Initializer, shape: Shape = (FAN_OUT, FAN_IN), seed: int = 0) -> Tensor:
    return initializer.draw(shape, FAN_IN, FAN_OUT, generator(seed))


def moment_matches(entries: Tensor, power: int, expected: float, second: float) -> None:
    """The sample moment lies within five standard errors; ``second`` is the moment of twice the power."""
    standard_error = math.sqrt((second - expected**2) / entries.numel())
    assert abs(entries.double().pow(power).mean().item() - expected) < 5 * standard_error


@pytest.mark.parametrize("kind", sorted(Initializer.kinds()))
def test_every_kind_draws_what_its_generator_says(kind: str) -> None:
    initializer = INITIALIZERS.validate_python(Initializer.kinds()[kind].example)
    assert INITIALIZERS.validate_python(INITIALIZERS.dump_python(initializer)) == initializer
    for shape in ((6, 4), (8, 3, 3, 3)):
        torch.manual_seed(0)
        first = initializer.draw(shape, 4, 6, generator(1))
        torch.manual_seed(1)
        assert first.equal(initializer.draw(shape, 4, 6, generator(1))), "the global stream plays no part"
        assert (first.dtype, first.device.type, tuple(first.shape)) == (torch.float32, "cpu", shape)
        assert first.is_contiguous() and first.isfinite().all()
        constant = first.min() == first.max()
        assert bool(constant) or not first.equal(initializer.draw(shape, 4, 6, generator(2)))


def test_constants() -> None:
    assert draw(Zeros()).unique().tolist() == [0]
    assert draw(Ones()).unique().tolist() == [1]
    assert draw(Constant(value=-0.25)).unique().tolist() == [-0.25]


@pytest.mark.parametrize(
    ("initializer", "bound"),
    [
        (XavierUniform(), math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (XavierUniform(gain=2.0), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (UniformFanIn(), 1 / math.sqrt(FAN_IN)),
    ],
)
def test_uniform_moments(initializer: Initializer, bound: float) -> None:
    entries = draw(initializer)
    assert 0.9999 * bound < entries.abs().max() <= bound * (1 + 1e-6)
    moment_matches(entries, 1, 0.0, bound**2 / 3)
    moment_matches(entries, 2, bound**2 / 3, bound**4 / 5)


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [(HeNormal(), 2 / FAN_IN), (HeNormal(scale=0.5), 0.5 / FAN_IN), (LecunNormal(), 1 / FAN_IN)],
)
def test_truncated_normal_moments(initializer: Initializer, variance: float) -> None:
    # Moments of a unit normal cut at c: m2 = 1 - r, m4 = 3 m2 - c^2 r, with r = 2 c phi(c) / (2 Phi(c) - 1).
    cut = 2.0
    ratio = 2 * cut * math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi) / math.erf(cut / math.sqrt(2))
    second = 1 - ratio
    fourth = 3 * second - cut**2 * ratio
    entries = draw(initializer)
    unit = entries.double() * math.sqrt(second / variance)
    assert 1.999 < unit.abs().max() <= cut * (1 + 1e-6)
    moment_matches(entries, 1, 0.0, variance)
    moment_matches(entries, 2, variance, variance**2 * fourth / second**2)
    sixth = 5 * fourth - cut**4 * ratio
    eighth = 7 * sixth - cut**6 * ratio
    moment_matches(unit, 4, fourth, eighth)


@pytest.mark.parametrize(
    ("initializer", "std"),
    [(Normal(std=0.3), 0.3), (XavierNormal(gain=0.5, cut=False), 0.5 * math.sqrt(2 / (FAN_IN + FAN_OUT)))],
)
def test_normal_moments(initializer: Initializer, std: float) -> None:
    entries, variance = draw(initializer), std**2
    moment_matches(entries, 1, 0.0, variance)
    moment_matches(entries, 2, variance, 3 * variance**2)
    moment_matches(entries, 4, 3 * variance**2, 105 * variance**4)
    assert entries.abs().max() > 4 * std, "not cut"


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 6), (8, 2, 3, 3), (40, 2, 3, 3)], ids=str)
def test_orthogonal_singular_values_are_the_gain(shape: Shape) -> None:
    matrix = draw(Orthogonal(gain=1.5), shape).flatten(1).double()
    singular = torch.linalg.svdvals(matrix)
    torch.testing.assert_close(singular, torch.full_like(singular, 1.5), rtol=0, atol=1e-6)


def test_orthogonal_is_uniform_over_the_group() -> None:
    # Under the Haar measure the trace has mean 0 and mean square 1 (Diaconis and Shahshahani, 1994). Without the sign
    # correction, Householder's convention fixes signs of the diagonal and the mean is far from 0.
    traces = torch.tensor([draw(Orthogonal(), (3, 3), seed).trace() for seed in range(2000)], dtype=torch.float64)
    moment_matches(traces, 1, 0.0, 1.0)
    moment_matches(traces, 2, 1.0, 3.0)


def test_orthogonal_refuses_vectors() -> None:
    with pytest.raises(
        ShapeError, match=r"'orthogonal' needs a parameter with at least 2 axes; this one has shape \[4\]"
    ):
        draw(Orthogonal(), (4,))
