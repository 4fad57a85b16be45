"""A vector that is drawn anew for every episode and is part of each of its observations: the skill of an agent.

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
    seed of its environment and from the number of the episode. Normalisation of observations leaves it as it is. Every
    picture has one more plane, which begins with the float32 bytes of the skill: replay then keeps bytes alone.
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
        """``info`` of an environment, with the skill."""
        first, *rest = info.observation
        more = max(info.stacked_frames, 1) if info.pictures else self.size
        observation = (first + more, *rest)
        terminates = info.terminates or self.limit == "terminates"
        is_choice = self.distribution == "one_hot"
        return replace(
            info, observation=observation, skill_size=self.size, skill_is_choice=is_choice, terminates=terminates
        )

    def plane(self, drawn: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
        """The plane ``[n, height, width]`` of skills ``[n, size]``: their bytes in this machine's order, then zeros."""
        import numpy as np

        found = np.zeros((len(drawn), height * width), np.uint8)
        found[:, : 4 * self.size] = np.ascontiguousarray(drawn).view(np.uint8)
        return found.reshape(-1, height, width)

    def spaces(self, own: NativeSpaces, info: EnvironmentInfo) -> NativeSpaces:
        """``own`` spaces of the environment, with the skill as one more part of an observation.

        ``info`` has the skill. Pictures stay one part, as the agent sees them.
        """
        if info.pictures:
            note = f"observation: the last plane of each picture begins with the skill, {self.size} float32 numbers"
            seen = NativePart("observation", info.observation, "uint8")
            return replace(own, parts=(seen,), notes=(*own.notes, note))
        note = f"skill: {self.size} numbers, {self.distribution}, the same in a whole episode"
        parts = (*own.parts, NativePart("skill", (self.size,), "float32"))
        return replace(own, parts=parts, notes=(*own.notes, note))
