"""Checks of what vector environments are given and give. Tests: tests/environments/test_environment_contract.py.

Legend: n environments, a entries of an action.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.environments.interface import InvalidAction
from composer.environments.vector.rows import RowFailure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo


def check_actions(actions: NDArray[np.float32], n: int, info: EnvironmentInfo) -> None:
    """Raise InvalidAction where ``actions`` are not ``[n, a]`` in [-1, 1], or not one-hot where they are choices."""
    expected = (n, info.action_size)
    if actions.shape != expected:
        raise InvalidAction(f"actions have shape {list(actions.shape)}; these environments take {list(expected)}")
    if not np.maximum.reduce(np.abs(actions), axis=None) <= 1.0:  # false for NaN, too
        row = int(np.argmin((np.abs(actions) <= 1.0).all(axis=1)))
        finite = bool(np.isfinite(actions).all())
        raise InvalidAction(f"the action of environment {row} leaves [-1, 1]: {actions[row].tolist()}", finite)
    if info.discrete and not (one_hot := _one_hot(actions)).all():
        row = int(np.argmin(one_hot))
        raise InvalidAction(f"the action of environment {row} is not one-hot: {actions[row].tolist()}")


def check_finite(observation: NDArray[Any], rewards: NDArray[np.float32] | None = None) -> None:
    """Raise RowFailure for rewards ``[n]`` or observations ``[n, ...]`` that are not finite."""
    rewards = np.zeros(len(observation), np.float32) if rewards is None else rewards
    # A sum is finite only if every term is: one pass suffices in the common case.
    pictures = observation.dtype == np.uint8
    seen = 0.0 if pictures else np.add.reduce(observation, axis=None)
    if isfinite(seen) and isfinite(np.add.reduce(rewards)):
        return
    for row, reward in enumerate(rewards):
        if not np.isfinite(reward):
            raise RowFailure(row, f"the reward is {reward}")
        values = observation[row].ravel()
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise RowFailure(row, f"entry {bad[0]} of the observation is {values[bad[0]]}")


def _one_hot(actions: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows are one-hot, [n]."""
    found: NDArray[np.bool_] = (actions.max(axis=1) == 1.0) & (np.count_nonzero(actions, axis=1) == 1)
    return found
