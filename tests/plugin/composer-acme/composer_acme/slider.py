"""An environment: a mass on a rail, to be held at the middle. Workers import this file, and no torch with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from composer.environments import EnvironmentInfo, RenderingUnavailable, SingleSimulator


class Slider(SingleSimulator, kind="acme/slider"):
    """A mass on a rail. Observations are position and speed; the action is a push; the reward is 1 at the middle."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "acme/slider", "limit": 40}

    limit: Annotated[int, Field(ge=1, le=10_000)] = 40
    """Steps of an episode; it ends earlier where the mass leaves the rail, more than 1 from the middle."""

    @property
    def metric(self) -> str:
        """Returns under a name of their own."""
        return "evaluation/balance"

    def describe(self) -> EnvironmentInfo:
        """Two numbers in, one push out."""
        return EnvironmentInfo((2,), 1, self.limit, self.action_repeat, terminates=True)

    def single(self) -> Rail:
        """One mass."""
        return Rail(self.limit)


class Rail:
    """The mass and its episode: what ``SingleEnvironment`` asks for."""

    def __init__(self, limit: int) -> None:
        self._limit, self._taken = limit, 0
        self._position = self._speed = 0.0

    def reset(self, seed: int) -> None:
        """Start within half of the rail, at rest."""
        self._position, self._speed, self._taken = seed / 2**63 - 0.5, 0.0, 0

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One push."""
        self._speed = 0.9 * self._speed + 0.1 * float(action[0])
        self._position += 0.1 * self._speed
        self._taken += 1
        fell = abs(self._position) > 1.0
        return 1.0 - abs(self._position), fell, self._taken >= self._limit and not fell

    def observe(self) -> NDArray[np.float32]:
        """Position and speed."""
        return np.array([self._position, self._speed], np.float32)

    def render(self) -> NDArray[np.uint8]:
        """There are no pictures."""
        raise RenderingUnavailable("a slider has no pictures")

    def close(self) -> None:
        """Nothing is held."""
