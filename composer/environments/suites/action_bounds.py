"""The affine map from [-1, 1] to the bounds of a simulator's actions.

Tests: tests/environments/test_dm_control.py, tests/environments/test_gymnasium.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNBOUNDED = 1e6
"""dm_control: a bound beyond this is none (``lqr`` declares 1e10), and there is nothing to scale to."""


def offset_and_scale(
    low: NDArray[np.float64], high: NDArray[np.float64], largest: float = UNBOUNDED
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``action * scale + offset`` maps [-1, 1] to [low, high]; entries without two bounds up to ``largest`` stay."""
    bounded = (np.abs(low) <= largest) & (np.abs(high) <= largest)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return (low + high) / 2, (high - low) / 2
