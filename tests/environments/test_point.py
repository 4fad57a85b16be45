"""The point without walls: its motion, written out a second time."""

from __future__ import annotations

import numpy as np
import pytest

from composer.environments.suites.point_single import START, PointPixels, PointSingle


def test_the_velocity_follows_the_force_and_moves_the_point() -> None:
    point = PointSingle(0.5, 3)
    point.reset(1)
    first = point.observe()
    assert (np.abs(first[:2]) <= START).all() and (first[2:] == 0).all() and first.dtype == np.float32
    ends = [point.step(np.array([1.0, -0.4], np.float32)) for _ in range(3)]
    assert ends == [(0.0, False, False), (0.0, False, False), (0.0, False, True)]
    # Velocities 1/2, 3/4 and 7/8 of the force.
    np.testing.assert_allclose(point.observe(), [*(first[:2] + np.array([2.125, -0.85])), 0.875, -0.35], rtol=1e-5)
    point.reset(1)
    np.testing.assert_array_equal(point.observe(), first)


def test_a_picture_shows_the_place_to_a_fraction_of_a_pixel() -> None:
    """The middle of the brightness, one newest picture for each decision, and nothing of a point that is far away."""
    point = PointPixels(PointSingle(0.0, 50), 2, 32, 16.0)
    point.reset(1)
    first = point.observe()
    assert first.shape == (2, 32, 32) and first.dtype == np.uint8 and (first[0] == first[1]).all()
    before = first[1].copy()
    for _ in range(2):
        point.step(np.array([1.0, -0.4], np.float32))
    newest = point.observe()
    np.testing.assert_array_equal(newest[0], before)
    weight = newest[1] / newest[1].sum()
    across = (weight.sum(0) * (np.arange(32) + 0.5)).sum() - 16
    up = 16 - (weight.sum(1) * (np.arange(32) + 0.5)).sum()
    assert [across, up] == pytest.approx(point.place().tolist(), abs=0.05)
    assert point.render().shape == (32, 32, 3) and (point.render()[..., 0] == newest[1]).all()
    for _ in range(30):
        point.step(np.array([1.0, 0.0], np.float32))
    assert not point.observe()[1].any()
