"""Discounts: a number, or a named rule that derives it from the environment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from composer.spec import Family

if TYPE_CHECKING:
    from composer.environments.base import EnvironmentInfo


class Discount(Family, family="discount"):
    """Discount of one interaction. A plain number is a constant."""

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A number means ``{ kind = "constant", value = ... }``."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"kind": "constant", "value": value}
        return value

    @abstractmethod
    def value_for(self, info: EnvironmentInfo) -> float:
        """The discount in ``info``'s environment."""


class Constant(Discount, kind="constant"):
    """The same number everywhere."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "constant", "value": 0.99}

    value: float = Field(ge=0, le=1)
    """The discount."""

    def to_shorthand(self, table: dict[str, Any]) -> object:
        """The number."""
        return self.value

    def value_for(self, info: EnvironmentInfo) -> float:
        """The number."""
        return self.value


class EpisodeLength(Discount, kind="episode_length"):
    """From the length of an episode in interactions, T: ``clip((T/divisor - 1) / (T/divisor), minimum, maximum)``.

    0.99 for the DeepMind control suite at action repeat 2. Source: SimBa, arXiv:2410.09754, and its published code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "episode_length"}

    divisor: float = Field(default=5.0, gt=0, le=1e6)
    """The horizon is the episode's length divided by this."""
    minimum: float = Field(default=0.95, ge=0, le=1)
    """Smallest discount."""
    maximum: float = Field(default=0.995, ge=0, le=1)
    """Largest discount."""

    def value_for(self, info: EnvironmentInfo) -> float:
        """The rule, for ``info.episode_interactions``."""
        horizon = info.episode_interactions / self.divisor
        return min(max((horizon - 1) / horizon, self.minimum), self.maximum)
