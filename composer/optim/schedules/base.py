"""Schedules: a number, constant or changing with the count of gradient updates.

A schedule is computed inside the captured update from the update counter, one value per seed, so that neither a
changing number nor a variant with another number needs another compilation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.spec.family import Family

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters

LARGEST = 1e30
"""Larger than any useful value and finite in float32."""
Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def as_constant(value: object) -> object:
    """The table of a constant for a plain number, other values as they are."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"kind": "constant", "value": value} if is_number else value


class Schedule(Family, family="schedule"):
    """A number as a function of gradient updates. A plain number is a constant schedule."""

    @classmethod
    def from_shorthand(cls, value: object) -> object:
        """A number means ``{ kind = "constant", value = ... }``."""
        return as_constant(value)

    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that the schedule takes: between its points it is monotonic."""
        values = [value for _, value in self.points()]
        return min(values), max(values)

    def holder(self, value: float) -> tuple[str | int, ...]:
        """The path of the field that holds a value within the schedule's bounds; empty where none does."""
        return next(((name,) for name, held in self if isinstance(held, float) and held == value), ())

    @abstractmethod
    def points(self) -> tuple[tuple[int, float], ...]:
        """Updates at which it starts, bends and ends, with its values there; none for a constant."""

    @property
    def counts_phases(self) -> bool:
        """Whether it counts since the present phase of the environment began."""
        return False

    @property
    def copies(self) -> tuple[int, int] | None:
        """The first copy and the updates between two, where this momentum only copies a network; else None."""
        return None

    def unreached(self, updates: int, unit: str = "update") -> str:
        """What of it a run of ``updates`` updates does not reach, in words; empty where it reaches all."""
        last = max((update for update, _ in self.points()), default=0)
        return f"goes on until {unit} {last:,}; the run makes {updates:,}" if last > updates else ""

    @abstractmethod
    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """A function from updates done, float64 ``[seeds]``, to values, float32 ``[seeds]``."""


def highest(schedule: Schedule) -> float:
    """The largest value of a schedule."""
    return schedule.bounds()[1]


def lowest(schedule: Schedule) -> float:
    """The smallest value of a schedule."""
    return schedule.bounds()[0]


class Constant(Schedule, kind="constant"):
    """The same value throughout."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "constant", "value": 3e-4}

    value: Value
    """The value."""

    def to_shorthand(self, table: dict[str, Any]) -> object:
        """The number, as an integer where it is whole."""
        whole = self.value.is_integer() and abs(self.value) < 2**53
        return int(self.value) if whole else self.value

    @override
    def bounds(self) -> tuple[float, float]:
        return self.value, self.value

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        return ()

    @override
    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        value = hyperparameters.number(self.value)
        return lambda updates: value


class Linear(Schedule, kind="linear"):
    """A straight line from ``start`` to ``end`` over ``updates`` gradient updates, then ``end``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "linear", "start": 1e-4, "end": 5e-5, "updates": 500_000}

    start: Value
    """Value at the first update."""
    end: Value
    """Value after ``updates`` updates and from then on."""
    updates: int = Field(ge=1, le=10**12)
    """Length of the line in gradient updates."""

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        return (0, self.start), (self.updates, self.end)

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``start + (end - start) * min(updates / length, 1)``."""
        numbers = (self.start, self.end - self.start, float(self.updates))
        start, change, length = map(hyperparameters.number, numbers)
        return lambda updates: start + change * (updates / length).clamp(max=1.0).float()
