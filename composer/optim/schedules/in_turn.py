"""Schedules one after another. Tests: tests/optim/test_schedules.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.optim.schedules.base import Schedule
from composer.optim.schedules.curves import Updates
from composer.spec.family import Items

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters


class InTurn(Schedule, kind="in_turn"):
    """One schedule after another, each counting updates from its own start: a warm-up of its own for each phase."""

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "in_turn",
        "schedules": [{"kind": "warmup", "value": 1e-3, "updates": 2_000}, 5e-4],
        "updates": [20_000],
    }

    schedules: Annotated[Items[Schedule], Field(min_length=2, max_length=1_000)]
    """The schedules, in order; the last one lasts to the end."""
    updates: Annotated[Items[Updates], Field(min_length=1, max_length=1_000)]
    """Length of each but the last, in gradient updates."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.updates) != len(self.schedules) - 1:
            raise PydanticCustomError(
                "in_turn_lengths",
                "'updates' lists {given} lengths for {schedules} schedules; give one for each but the last",
                {"given": len(self.updates), "schedules": len(self.schedules)},
            )
        return self

    @property
    def starts(self) -> tuple[int, ...]:
        """Updates before each schedule."""
        return (0, *accumulate(self.updates))

    @property
    @override
    def counts_phases(self) -> bool:
        return any(each.counts_phases for each in self.schedules)

    @override
    def bounds(self) -> tuple[float, float]:
        lows, highs = zip(*(each.bounds() for each in self.schedules), strict=True)
        return min(lows), max(highs)

    @override
    def holder(self, value: float) -> tuple[str | int, ...]:
        index, each = next((index, each) for index, each in enumerate(self.schedules) if value in each.bounds())
        return ("schedules", index, *each.holder(value))

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        found = []
        for start, each in zip(self.starts, self.schedules, strict=True):
            found += [(start + at, value) for at, value in each.points() or ((0, each.bounds()[0]),)]
        return tuple(found)

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``f_k(updates - start_k)`` of the last schedule that has begun."""
        import torch

        functions = [each.build(hyperparameters) for each in self.schedules]
        starts = [hyperparameters.number(float(each), dtype=torch.float64) for each in self.starts]

        def value(updates: Tensor) -> Tensor:
            found = functions[0](updates)
            for function, start in zip(functions[1:], starts[1:], strict=True):
                found = torch.where(updates >= start, function(updates - start), found)
            return found

        return value
