"""One environment of Gymnasium: its spaces as vectors or pictures, its actions as vectors, its episodes by seeds.

Tests: tests/environments/test_gymnasium.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from composer.environments.interface import RenderingUnavailable
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from gymnasium import Env
    from numpy.typing import NDArray

    from composer.environments.interface import Observations

UNBOUNDED = 1e6
"""Beyond this an action's bound is none, and there is nothing to scale to."""


class UnsupportedSpace(ValueError):
    """A space that no vector or picture stands for."""


@dataclass(frozen=True)
class ObservationLayout:
    """How observations of a space are told."""

    shape: Shape
    pictures: bool
    tell: Callable[[Any], Observations]


@dataclass(frozen=True)
class ActionLayout:
    """How a vector in [-1, 1] or a one-hot choice becomes an action of a space."""

    size: int
    discrete: bool
    choose: Callable[[NDArray[np.float32]], Any]


def observation_layout(space: spaces.Space[Any]) -> ObservationLayout:
    """Pictures with channels first, or one float32 vector. Raises UnsupportedSpace."""
    if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3):
        return _pictures(space.shape)
    if not space.is_np_flattenable:
        raise UnsupportedSpace(f"observations in {space} have no fixed size")
    size = spaces.flatdim(space)
    if size == 0:
        raise UnsupportedSpace(f"observations in {space} are empty")
    return ObservationLayout((size,), False, lambda raw: np.asarray(spaces.flatten(space, raw), np.float32))


def _pictures(shape: tuple[int, ...]) -> ObservationLayout:
    """[h, w], [h, w, c] or [c, h, w]: of the outer axes of three, the shorter one is the channels."""
    if len(shape) == 2:
        return ObservationLayout((1, *shape), True, lambda raw: raw[None])
    if shape[2] <= shape[0]:
        return ObservationLayout((shape[2], *shape[:2]), True, lambda raw: np.moveaxis(raw, 2, 0))
    return ObservationLayout(shape, True, lambda raw: raw)


def action_layout(space: spaces.Space[Any]) -> ActionLayout:
    """A choice or a box. Raises UnsupportedSpace."""
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return ActionLayout(int(space.n), True, lambda action: start + int(action.argmax()))
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating) or 0 in space.shape:
        raise UnsupportedSpace(f"actions in {space} are neither a choice (Discrete) nor numbers (Box of floats)")
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    offset, scale = (low + high) / 2, (high - low) / 2
    shape, dtype = space.shape, space.dtype

    def choose(action: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        told: NDArray[np.floating[Any]] = (action.reshape(shape) * scale + offset).astype(dtype)
        return told

    return ActionLayout(int(np.prod(shape)), False, choose)


class GymnasiumSingle:
    """One environment; its registered wrappers, time limit included, are in place."""

    def __init__(self, environment: Env[Any, Any]) -> None:
        self._environment = environment
        self._tell = observation_layout(environment.observation_space).tell
        self._choose = action_layout(environment.action_space).choose
        self._raw: Any = None

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``, whose upper 31 bits are handed on: not every environment takes more."""
        self._raw, _ = self._environment.reset(seed=seed >> 32)

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One step. What ends by itself at its time limit has terminated."""
        self._raw, reward, terminated, truncated, _ = self._environment.step(self._choose(action))
        return float(reward), bool(terminated), bool(truncated) and not terminated

    def observe(self) -> Observations:
        """As the layout tells it."""
        return self._tell(self._raw)

    def render(self) -> NDArray[np.uint8]:
        """The environment's own picture."""
        try:
            picture: Any = self._environment.render()
        except Exception as error:
            raise RenderingUnavailable(f"this environment cannot draw here: {type(error).__name__}: {error}") from error
        if not isinstance(picture, np.ndarray):
            raise RenderingUnavailable("this environment has no pictures")
        return picture

    def close(self) -> None:
        """Free what the environment holds."""
        self._environment.close()
