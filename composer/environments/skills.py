"""A vector that is drawn anew for every episode and follows each of its observations: the skill that an agent shows.

Tests: tests/environments/test_skills.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from composer.environments.interface import EnvironmentInfo
from composer.environments.native import NativePart, NativeSpaces
from composer.spec.family import Spec
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Skills(Spec):
    """A vector that is drawn when an episode begins, stays until it ends, and is the last part of every observation.

    Policy and critics read it, replay stores it, and resume finds it again: the draw of an episode follows from the
    seed of its environment and from the number of the episode. Normalisation of observations leaves it as it is.
    """

    size: Annotated[int, Field(ge=1, le=10_000)]
    """Numbers of a skill."""
    distribution: Literal["sphere", "normal", "one_hot"] = "sphere"
    """A normal vector divided by its norm, a normal vector, or a uniform choice among ``size``, one-hot."""
    limit: Literal["truncates", "terminates"] = "truncates"
    """What the time limit does to an episode. ``terminates``: the value of its last observation counts as 0, as in the
    released code of METRA; else it is bootstrapped."""

    def draw(self, seed: int, episode: int) -> NDArray[np.float32]:
        """The skill ``[size]`` of an episode of the environment with ``seed``."""
        import numpy as np

        generator = np.random.Generator(np.random.PCG64(derive(seed, "skill", episode)))
        if self.distribution == "one_hot":
            chosen: NDArray[np.float32] = np.eye(self.size, dtype=np.float32)[generator.integers(self.size)]
            return chosen
        drawn = generator.standard_normal(self.size)
        return (drawn if self.distribution == "normal" else drawn / np.linalg.norm(drawn)).astype(np.float32)

    def described(self, info: EnvironmentInfo) -> EnvironmentInfo:
        """``info`` of an environment of vectors, with the skill."""
        observation = (info.observation[0] + self.size,)
        terminates = info.terminates or self.limit == "terminates"
        is_choice = self.distribution == "one_hot"
        return replace(
            info, observation=observation, skill_size=self.size, skill_is_choice=is_choice, terminates=terminates
        )

    def spaces(self, own: NativeSpaces) -> NativeSpaces:
        """``own`` spaces of the environment, with the skill as one more part of an observation."""
        note = f"skill: {self.size} numbers, {self.distribution}, the same in a whole episode"
        parts = (*own.parts, NativePart("skill", (self.size,), "float32"))
        return replace(own, parts=parts, notes=(*own.notes, note))
