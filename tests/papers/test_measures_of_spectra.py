"""The simplicity score against Fourier sums that can be worked out by hand, and the traps of its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from composer.algorithms.normalization.spec import Raw, RSNorm
from composer.diagnostics.formulas.spectrum import mean_frequency, plane, simplicity
from composer.networks.blocks import Block
from composer.studies.simplicity import blueprints as study
from composer.studies.simplicity.measures import MEASURES, Fourier

BLOCKS: TypeAdapter[Block] = TypeAdapter(Block)
HIDDEN = {"kind": "linear", "width": 16, "weight": {"kind": "he_normal"}}
MLP = [HIDDEN, {"kind": "relu"}, HIDDEN, {"kind": "relu"}]
PRE_NORM = [
    {"kind": "linear", "width": 16},
    {"kind": "residual", "block": [{"kind": "layer_norm"}, {"kind": "linear", "width": 16}, {"kind": "relu"}]},
]


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fourier, "points", 40)
    monkeypatch.setattr(study, "ROWS", 700)  # Not a divisor: the last piece is shorter.


def wave(n: int, across: int, down: int) -> Tensor:
    axis = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    return torch.cos(across * axis[:, None] + down * axis)


@pytest.mark.parametrize(("across", "down"), [(3, 0), (0, 5), (3, 4), (-3, 4), (7, -1)])
def test_a_plane_wave_has_its_own_frequency(across: int, down: int) -> None:
    assert float(mean_frequency(wave(32, across, down))) == pytest.approx(math.hypot(across, down))
    assert float(simplicity(wave(32, across, down))) == pytest.approx(1 / math.hypot(across, down))


def test_frequencies_weigh_by_magnitude_and_not_by_power() -> None:
    both = wave(32, 2, 0) + 3 * wave(32, 10, 0)
    assert float(mean_frequency(both)) == pytest.approx((2 + 3 * 10) / 4)


def test_an_offset_makes_a_function_simpler_unless_it_is_left_out() -> None:
    """The one term of a constant weighs as much as the two of a cosine of that height together."""
    surface = 5.0 + wave(32, 4, 0)
    assert float(mean_frequency(surface)) == pytest.approx(4 / 6)
    assert float(mean_frequency(surface, constant=False)) == pytest.approx(4.0)
    assert float(mean_frequency(wave(32, 4, 0), constant=False)) == pytest.approx(4.0)


def test_scores_are_means_of_the_inverse() -> None:
    """The mean of 1/c is not 1 over the mean of c."""
    surfaces = torch.stack([wave(32, 1, 0), wave(32, 4, 0)])
    assert float(simplicity(surfaces).mean()) == pytest.approx((1 + 1 / 4) / 2)


def test_the_grid_covers_the_square() -> None:
    grid = plane(3, 100.0)
    assert grid.shape == (9, 2)
    assert grid.tolist()[:4] == [[-100, -100], [-100, 0], [-100, 100], [0, -100]]


def scores(trunk: Any, statistic: Any, count: int = 3) -> tuple[list[float], list[float]]:
    found = study.scores(BLOCKS.validate_python(trunk), statistic, MEASURES["fourier"], count)
    return found["score"].tasks[0].tolist(), found["score_without_constant"].tasks[0].tolist()


def test_a_relu_network_without_biases_does_not_see_the_scale_of_its_input() -> None:
    """So that normalising a symmetric grid changes its output's scale alone; a normalising network sees it."""
    raw, normalised = scores(MLP, Raw()), scores(MLP, RSNorm())
    assert raw[0] == pytest.approx(normalised[0], rel=1e-4)
    assert scores(PRE_NORM, Raw())[0] != pytest.approx(scores(PRE_NORM, RSNorm())[0], rel=1e-2)


def test_scores_belong_to_initialisations_and_not_to_their_number() -> None:
    few, many = scores(MLP, Raw(), 2), scores(MLP, Raw(), 4)
    assert many[0][:2] == few[0]
    assert len({*many[0]}) == 4
    assert all(whole > varying for whole, varying in zip(*many, strict=True))


def test_an_odd_function_has_no_constant_term() -> None:
    """A tilted plane through 0: both scores agree."""
    linear = [{"kind": "linear", "width": 3, "bias": False}]
    whole, varying = scores(linear, Raw())
    assert whole == pytest.approx(varying, rel=1e-3)
