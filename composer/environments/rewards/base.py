"""The family of reward models: rewards that agents learn from, computed from a picture of each decision.

A spec declares and is free of torch; ``build`` gives a *judge*, which the training process holds, on its device.
Tests: tests/environments/test_vision_language.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final, Protocol

from composer.spec.family import Family
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEARNED_RETURN: Final = Metric(
    "evaluation/learned_return", "mean sum of the rewards that agents learn from, in an evaluation's episodes", "return"
)
"""What evaluations write beside the return of the environment's own rewards."""


class Judge(Protocol):
    """A reward model that is ready to use."""

    def rewards(self, own: NDArray[np.float64], pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Rewards ``[n]`` of one decision of n environments.

        ``own [n]`` are the environment's, ``pictures [n, side, side, 3]`` show the states after the decision, a last
        state of an episode included. Equal pictures give equal rewards, whatever comes beside or before them.
        """


class RewardModel(Family, family="reward_model"):
    """What agents learn from in place of the environment's own rewards, which evaluations go on to report."""

    @property
    @abstractmethod
    def picture_side(self) -> int:
        """Rows and columns of the pictures that it reads."""

    def refusal(self) -> tuple[str, str] | None:
        """A key and the reason why what it names cannot be used on this machine, found without loading anything."""
        return None

    @abstractmethod
    def build(self) -> Judge:
        """Load the model. Raises UnusableEnvironment."""
