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
from composer.environments.suites.action_bounds import offset_and_scale
from composer.spec.shape import Shape

if TYPE_CHECKING:
    from gymnasium import Env
    from numpy.typing import NDArray

    from composer.environments.interface import Observations


class UnsupportedSpace(ValueError):
    """A space that neither a vector nor a picture can represent."""


@dataclass(frozen=True)
class ObservationLayout:
    """How observations of a space become vectors or pictures."""

    shape: Shape
    pictures: bool
    convert: Callable[[Any], Observations]


@dataclass(frozen=True)
class ActionLayout:
    """How vectors in [-1, 1] or one-hot choices become actions of a space."""

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
    offset, scale = offset_and_scale(space.low.astype(np.float64), space.high.astype(np.float64))
    shape, dtype = space.shape, space.dtype

    def choose(action: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        chosen: NDArray[np.floating[Any]] = (action.reshape(shape) * scale + offset).astype(dtype)
        return chosen

    return ActionLayout(int(np.prod(shape)), False, choose)


class GymnasiumSingle:
    """One environment; its registered wrappers, time limit included, are in place."""

    def __init__(self, environment: Env[Any, Any]) -> None:
        self._environment = environment
        self._convert = observation_layout(environment.observation_space).convert
        self._choose = action_layout(environment.action_space).choose
        self._raw: Any = None

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``; the environment gets its upper 31 bits, for some take no more."""
        self._raw, _ = self._environment.reset(seed=seed >> 32)

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One step. An episode that ends by itself at its time limit has terminated."""
        self._raw, reward, terminated, truncated, _ = self._environment.step(self._choose(action))
        return float(reward), bool(terminated), bool(truncated) and not terminated

    def observe(self) -> Observations:
        """The observation in its layout."""
        return self._convert(self._raw)

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
