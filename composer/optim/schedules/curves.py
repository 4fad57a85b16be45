"""Schedules that bend: exponential ones, half cosines, and warm-ups. Tests: tests/optim/test_schedules.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.schedules.base import LARGEST, Schedule, Value

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters

PositiveValue = Annotated[float, Field(gt=0, le=LARGEST)]
Updates = Annotated[int, Field(ge=1, le=10**12)]


class Exponential(Schedule, kind="exponential"):
    """From ``start`` to ``end`` over ``updates`` gradient updates by equal factors, then ``end``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "exponential", "start": 10, "end": 3, "updates": 10_000}

    start: PositiveValue
    """Value at the first update."""
    end: PositiveValue
    """Value after ``updates`` updates and from then on."""
    updates: Updates
    """Length of the curve in gradient updates."""

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        return (0, self.start), (self.updates, self.end)

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``start * (end / start) ** min(updates / length, 1)``."""
        import torch

        numbers = (self.start, math.log(self.end / self.start), float(self.updates))
        start, slope, length = (hyperparameters.number(each, dtype=torch.float64) for each in numbers)
        return lambda updates: (start * (slope * (updates / length).clamp(max=1.0)).exp()).float()


class Cosine(Schedule, kind="cosine"):
    """From ``start`` to ``end`` over ``updates`` gradient updates along half a cosine, then ``end``.

    Without restarts. Source: Loshchilov and Hutter, arXiv:1608.03983, Eq. 5.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "cosine", "start": 3e-4, "end": 0.0, "updates": 1_000_000}

    start: Value
    """Value at the first update."""
    end: Value
    """Value after ``updates`` updates and from then on."""
    updates: Updates
    """Length of the curve in gradient updates."""

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        return (0, self.start), (self.updates, self.end)

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``end + (start - end) (1 + cos(pi min(updates / length, 1))) / 2``."""
        import torch

        numbers = (self.end, (self.start - self.end) / 2, float(self.updates))
        end, half, length = (hyperparameters.number(each, dtype=torch.float64) for each in numbers)
        return lambda updates: (end + half * (1 + (math.pi * (updates / length).clamp(max=1.0)).cos())).float()


class Warmup(Schedule, kind="warmup"):
    """Linear from ``start`` to ``value`` over ``updates`` gradient updates, then ``value``.

    With an intervention that says ``schedules = "restart"`` it warms up again after each firing.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "warmup", "value": 1e-3, "updates": 1_000}

    value: Value
    """Value after the warm-up."""
    updates: Updates
    """Length of the warm-up in gradient updates."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Value at the first update, as a share of ``value``."""

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        return (0, self.start * self.value), (self.updates, self.value)

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``value * (start + (1 - start) * min(updates / length, 1))``."""
        value, start, length = map(hyperparameters.number, (self.value, self.start, float(self.updates)))
        return lambda updates: value * (start + (1 - start) * (updates / length).clamp(max=1.0).float())
