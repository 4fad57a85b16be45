"""A point in the plane without walls, for skills: the declaration. Tests: tests/environments/test_point.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from composer.environments.base import SingleSimulator
from composer.environments.interface import EnvironmentInfo

if TYPE_CHECKING:
    from composer.environments.interface import SingleEnvironment


class Point(SingleSimulator, kind="point"):
    """A point in the plane, which two numbers in [-1, 1] move. It starts near the origin; no wall holds it.

    Observations are its position and its velocity, 4 numbers. An action is a force: each step ``velocity`` keeps its
    share ``inertia`` and gains ``(1 - inertia) * action``, and is added to the position. There is no task and no
    reward: it is for agents that find skills of their own, and far places take a long way in one direction.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "point"}
    first_env_steps: ClassVar[int] = 200_000

    inertia: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the velocity that a step keeps; 0: the action is the velocity."""
    episode_env_steps: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Environment steps of an episode."""

    def describe(self) -> EnvironmentInfo:
        """Four numbers, two actions, an end by time alone."""
        return EnvironmentInfo((4,), 2, self.episode_env_steps, self.action_repeat, terminates=False)

    def single(self) -> SingleEnvironment:
        """One point."""
        from composer.environments.suites.point_single import PointSingle

        return PointSingle(self.inertia, self.episode_env_steps)
