"""Synthetic experience, the same for every candidate. Free of torch.

Episodes are cut by time, none terminates. Legend: n transitions, d observation, a action, F frames of a stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo

EPISODE: Final = 500
"""Transitions of a synthetic episode: a full one of walker-walk under action repeat 2."""


class Transitions(NamedTuple):
    """Arrays whose first axis is time."""

    observation: NDArray[np.float32]
    action: NDArray[np.float32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.float32]
    ended: NDArray[np.float32]
    following: NDArray[np.float32]


class Pictures(NamedTuple):
    """Frames, of which observation t is t to t + F - 1, or whole observations; with actions and rewards."""

    frames: NDArray[np.uint8]
    """``[n + F, h, w]``; ``[n + 1, c, h, w]`` where observations share no frames."""
    action: NDArray[np.int64]
    """``[n]``: the chosen actions."""
    reward: NDArray[np.float32]
    ended: NDArray[np.float32]


def transitions(rows: int, info: EnvironmentInfo) -> Transitions:
    """``rows`` transitions of unit-normal observations and uniform actions."""
    rng, (size,) = np.random.default_rng(0), info.observation
    return Transitions(
        rng.standard_normal((rows, size), np.float32),
        rng.uniform(-1, 1, (rows, info.action_size)).astype(np.float32),
        rng.random(rows, np.float32),
        np.zeros(rows, np.float32),
        _ended(rows),
        rng.standard_normal((rows, size), np.float32),
    )


def pictures(rows: int, info: EnvironmentInfo) -> Pictures:
    """``rows`` transitions of noise; the frames continue over the ends of episodes."""
    rng, shared = np.random.default_rng(0), info.stacked_frames > 0
    return Pictures(
        rng.integers(256, size=(rows + max(info.stacked_frames, 1), *info.observation[shared:]), dtype=np.uint8),
        rng.integers(info.action_size, size=rows),
        rng.random(rows, np.float32),
        _ended(rows),
    )


def stacks(film: Pictures, count: int) -> NDArray[np.uint8]:
    """All observations ``[n + 1, F, h, w]`` of ``count`` frames each, 0 where they share none: a view, not a copy."""
    if not count:
        return film.frames
    windows = np.lib.stride_tricks.sliding_window_view(film.frames, count, axis=0)
    found: NDArray[np.uint8] = np.moveaxis(windows, -1, 1)
    return found


def _ended(rows: int) -> NDArray[np.float32]:
    ended = np.zeros(rows, np.float32)
    ended[EPISODE - 1 :: EPISODE] = 1
    return ended
