"""The point without walls: its motion, written out a second time."""

from __future__ import annotations

import numpy as np

from composer.environments.suites.point_single import START, PointSingle


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
