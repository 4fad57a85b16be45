"""Discounts: a number, or a named rule that derives it from the environment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.schedules import Exponential, Schedule
from composer.optim.schedules.base import as_constant
from composer.spec.family import Family

if TYPE_CHECKING:
    from composer.environments.interface import EnvironmentInfo


class Discount(Family, family="discount"):
    """Discount of one interaction. A plain number is a constant."""

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A number means ``{ kind = "constant", value = ... }``."""
        return as_constant(value)

    @abstractmethod
    def value_for(self, info: EnvironmentInfo) -> float:
        """The discount in ``info``'s environment; the last one where it changes."""

    def complement_schedule(self) -> Schedule | None:
        """``1 - discount`` as a schedule over updates; None where it is constant."""
        return None


class Constant(Discount, kind="constant"):
    """The same number everywhere."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "constant", "value": 0.99}

    value: float = Field(ge=0, le=1)
    """The discount."""

    @override
    def to_shorthand(self, table: dict[str, Any]) -> object:
        return self.value

    @override
    def value_for(self, info: EnvironmentInfo) -> float:
        return self.value


class EpisodeLength(Discount, kind="episode_length"):
    """From the episode length T in interactions: ``clip((T/divisor - 1) / (T/divisor), minimum, maximum)``.

    0.99 for the DeepMind control suite at action repeat 2. Source: SimBa, arXiv:2410.09754, and its published code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "episode_length"}

    divisor: float = Field(default=5.0, gt=0, le=1e6)
    """The horizon is the episode's length divided by this."""
    minimum: float = Field(default=0.95, ge=0, le=1)
    """Lower bound of the discount."""
    maximum: float = Field(default=0.995, ge=0, le=1)
    """Upper bound of the discount."""

    @override
    def value_for(self, info: EnvironmentInfo) -> float:
        horizon = info.episode_interactions / self.divisor
        return min(max((horizon - 1) / horizon, self.minimum), self.maximum)


class Lengthening(Discount, kind="lengthening"):
    """From ``start`` to ``end`` over ``updates`` gradient updates, ``1 - discount`` by equal factors, then ``end``.

    It follows the clock of the critic's optimizer, which an intervention with ``schedules = "restart"`` resets.
    Source: BBF, arXiv:2305.19452: 0.97 to 0.997 over 10,000 updates after each reset.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "lengthening", "start": 0.97, "end": 0.997, "updates": 10_000}

    start: float = Field(ge=0, lt=1)
    """The discount at the first update."""
    end: float = Field(ge=0, lt=1)
    """The discount after ``updates`` updates and from then on."""
    updates: int = Field(ge=1, le=10**12)
    """Length of the change in gradient updates."""

    @override
    def without(self) -> Discount:
        """The last discount throughout."""
        return Constant(value=self.end)

    @override
    def value_for(self, info: EnvironmentInfo) -> float:
        return self.end

    @override
    def complement_schedule(self) -> Schedule:
        return Exponential(start=1 - self.start, end=1 - self.end, updates=self.updates)
