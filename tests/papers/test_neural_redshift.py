"""Polynomial order and Lempel-Ziv complexity of known functions and strings, and random MLPs, as arXiv:2403.02241."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from composer.algorithms.normalization.spec import Raw
from composer.diagnostics.formulas.lempel_ziv import levels, phrases
from composer.diagnostics.formulas.polynomial import chebyshev_coefficients, mean_order, nodes
from composer.networks.blocks import Block
from composer.studies.simplicity.blueprints import scores
from composer.studies.simplicity.measures import MEASURES
from composer.studies.simplicity.redshift import function

X, Y = nodes(12)[:, None], nodes(12)[None]


def chebyshev(order: int, x: Tensor) -> Tensor:
    return torch.cos(order * torch.arccos(x))


def test_coefficients_of_chebyshev_polynomials_are_their_own() -> None:
    """In x and in y apart, with the halves of order 0."""
    found = chebyshev_coefficients(chebyshev(3, X) * chebyshev(2, Y) - 0.5 * X + 0 * Y + 7.0)
    expected = torch.zeros(12, 12, dtype=torch.float64)
    expected[3, 2], expected[1, 0], expected[0, 0] = 1.0, -0.5, 7.0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    assert float(mean_order(found)) == pytest.approx((1 * 5 + 0.5 * 1) / 1.5)


def test_coefficients_of_a_power_and_of_an_exponential() -> None:
    """``x^4 = 3/8 + T_2 / 2 + T_4 / 8``; of exp(x) as numpy interpolates it."""
    power = chebyshev_coefficients(X**4 + 0 * Y)[:, 0]
    torch.testing.assert_close(power[:6], torch.tensor([3 / 8, 0, 1 / 2, 0, 1 / 8, 0]).double(), rtol=0, atol=1e-14)
    assert float(mean_order(chebyshev_coefficients(X**4 + 0 * Y))) == pytest.approx((2 / 2 + 4 / 8) / (5 / 8))
    found = chebyshev_coefficients(torch.exp(X) * torch.ones_like(Y))[:, 0]
    np.testing.assert_allclose(found, np.polynomial.chebyshev.chebinterpolate(np.exp, 11), rtol=0, atol=1e-13)


def test_an_offset_does_not_make_an_order_lower_and_a_constant_has_none() -> None:
    surfaces = torch.stack([X * Y, X * Y + 100.0, 0 * X * Y + 3.0])
    assert mean_order(chebyshev_coefficients(surfaces)).tolist() == pytest.approx([2.0, 2.0, 0.0], abs=1e-8)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("1011010100010", 7),  # 1 0 11 01 010 00 10: Cover and Thomas, section 13.4
        ("aaabbabaabaaabab", 7),  # a aa b ba baa baaa bab
        ("0" * 15, 5),  # 0 00 000 0000 00000
        ("0" * 16, 5),  # and a rest that has occurred
        ("0123456789", 10),
    ],
)
def test_phrases_of_known_strings(text: str, count: int) -> None:
    assert phrases(text) == count


def test_levels_are_of_equal_height() -> None:
    assert levels(torch.tensor([-1.0, -0.51, -0.49, 0.0, 0.2, 0.9, 1.0]), 4).tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert levels(torch.full((3,), 2.5), 4).tolist() == [0, 0, 0]


def test_every_measure_ranks_a_plane_before_a_wave_before_noise() -> None:
    for measure in MEASURES.values():
        x, y = measure.grid(64, 1.0).double().unbind(1)
        noise = torch.rand(64 * 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        surfaces = [0 * x, x + y, torch.sin(6 * math.pi * x) * torch.sin(6 * math.pi * y), noise]
        found = [measure.complexity(surface.view(64, 64)) for surface in surfaces]
        assert found == sorted(found) and found[0] < 0.03, measure.name


def test_a_linear_network_has_order_one() -> None:
    blocks: TypeAdapter[Block] = TypeAdapter(Block)
    linear = blocks.validate_python([{"kind": "linear", "width": 4}])
    found = scores(linear, Raw(), MEASURES["polynomial"], 2)["score"]
    assert found.tasks[0] == pytest.approx([1.0, 1.0], abs=1e-6)


def test_random_mlps_draw_uniformly_and_scale_with_their_weights() -> None:
    """Without hidden activations, ``w2 (w1 x + b1) + b2``: weights act twice on x, the last bias once."""
    grid = torch.tensor([[0.0, 0.0], [0.5, -1.0], [1.0, 0.25], [-0.5, 1.0]], dtype=torch.float64)

    def linear(magnitude: float) -> Tensor:
        return function(grid, lambda x: x, 1, magnitude, 0).flatten()

    one, three = linear(1.0), linear(3.0)
    torch.testing.assert_close(three[1:] - three[0], 9 * (one[1:] - one[0]))
    silent = [function(grid, torch.zeros_like, 1, magnitude, 0)[0, 0].item() for magnitude in (1.0, 3.0)]
    assert silent[1] == pytest.approx(3 * silent[0]) and 0 < abs(silent[0]) < 1
    assert not torch.equal(function(grid, torch.tanh, 2, 1.0, 0), function(grid, torch.tanh, 2, 1.0, 1))
