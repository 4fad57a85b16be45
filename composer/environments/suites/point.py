"""A point in the plane without walls, for skills: the declaration. Tests: tests/environments/test_point.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from composer.environments.base import SingleSimulator
from composer.environments.interface import EnvironmentInfo

if TYPE_CHECKING:
    from composer.environments.interface import SingleEnvironment


class Point(SingleSimulator, kind="point"):
    """A point in the plane, which two numbers in [-1, 1] move. It starts near the origin; no wall holds it.

    Observations are its position and its velocity, 4 numbers. An action is a force: each step ``velocity`` keeps its
    share ``inertia`` and gains ``(1 - inertia) * action``, and is added to the position. There is no task and no
    reward: it is for agents that find skills of their own, and far places take a long way in one direction. From pixels
    they are grey pictures of a square around the origin, with a round bright point that fades at its edge.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "point"}
    first_env_steps: ClassVar[int] = 200_000

    inertia: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the velocity that a step keeps; 0: the action is the velocity."""
    episode_env_steps: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Environment steps of an episode."""
    observe: Literal["state", "pixels"] = "state"
    """Position and velocity, or the newest pictures."""
    side: Annotated[int, Field(ge=8, le=480)] = 32
    """Of pixels: rows and columns of a picture."""
    reach: Annotated[float, Field(gt=0, le=1e6)] = 100.0
    """Of pixels: coordinate of the picture's edge; farther away the point is not seen."""
    stack: Annotated[int, Field(ge=1, le=64)] = 2
    """Of pixels: newest pictures, one a decision, that make an observation; the first one fills it."""

    def describe(self) -> EnvironmentInfo:
        """Four numbers or pictures, two actions, an end by time alone."""
        own = EnvironmentInfo((4,), 2, self.episode_env_steps, self.action_repeat, terminates=False)
        if self.observe == "state":
            return own
        shape = (self.stack, self.side, self.side)
        return replace(own, observation=shape, pictures=True, stacked_frames=self.stack, place_size=2)

    @override
    def from_pixels(self) -> Point:
        return self.model_copy(update={"observe": "pixels"})

    def single(self) -> SingleEnvironment:
        """One point."""
        from composer.environments.suites.point_single import PointPixels, PointSingle

        point = PointSingle(self.inertia, self.episode_env_steps)
        return point if self.observe == "state" else PointPixels(point, self.stack, self.side, self.reach)
