"""The family of distractions: changes of observed pictures that have nothing to do with the task.

They follow from the seed of an episode and from the number of the decision, so that episodes are replayed exactly.
Rewards, states and films are what they are without. Tests: tests/environments/test_distractions.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from composer.spec.family import Family

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    """``[height, width, 3]``"""
    Mask = NDArray[np.bool_]
    """``[height, width]``: which pixels are background."""

Intensity = Annotated[float, Field(gt=0, le=1)]


class Changing(ABC):
    """A distraction of one environment."""

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Start the episode of ``seed``."""

    @abstractmethod
    def change(self, picture: Picture, background: Callable[[], Mask], decision: int) -> Picture:
        """The picture of a decision, from 0, changed; the argument stays as it is."""


class Distraction(Family, family="distraction"):
    """A change of observed pictures that has nothing to do with the task."""

    changes: Literal["episode", "decision"] = "episode"
    """Whether it stays for an episode, or changes with each decision."""
    stream: Literal["both", "training", "evaluation"] = "both"
    """Where it is: in training, in evaluations, or in both. ``evaluation`` alone asks whether an agent that has never
    seen it goes on."""

    @property
    def needs_mask(self) -> bool:
        """Whether the simulator has to tell which pixels are background."""
        return False

    def refusal(self) -> tuple[str, str] | None:
        """A key and the reason why what it names cannot be used on this machine."""
        return None

    @abstractmethod
    def build(self) -> Changing:
        """For one environment. Raises UnusableEnvironment."""


class Distracted:
    """Several distractions of one environment's pictures, one after another."""

    def __init__(self, declared: Sequence[Distraction]) -> None:
        self._each = [distraction.build() for distraction in declared]
        self._decision = 0

    def begin(self, seed: int) -> None:
        """Start the episode of ``seed``."""
        from composer.spec.random_streams import derive

        self._decision = 0
        for index, changing in enumerate(self._each):
            changing.begin(derive(seed, "distraction", index))

    def change(self, picture: Picture, background: Callable[[], Mask]) -> Picture:
        """The next picture of the episode: called once per decision."""
        for changing in self._each:
            picture = changing.change(picture, background, self._decision)
        self._decision += 1
        return picture
