"""A schedule that begins anew in each phase. Tests: tests/optim/test_each_phase.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.optim.schedules.base import Schedule

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters


class EachPhase(Schedule, kind="each_phase"):
    """A schedule that counts the updates since the present phase of the environment began.

    It suits what has to come again with each task, such as exploration. An optimizer whose schedules an intervention
    restarts counts since then.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "each_phase",
        "schedule": {"kind": "linear", "start": 1.0, "end": 0.05, "updates": 5_000},
    }

    schedule: Schedule
    """The schedule of one phase."""

    @property
    @override
    def counts_phases(self) -> bool:
        return True

    @override
    def bounds(self) -> tuple[float, float]:
        return self.schedule.bounds()

    @override
    def holder(self, value: float) -> tuple[str | int, ...]:
        return ("schedule", *self.schedule.holder(value))

    @override
    def points(self) -> tuple[tuple[int, float], ...]:
        """Those of the first phase."""
        return self.schedule.points()

    def build(self, hyperparameters: Hyperparameters) -> Callable[[Tensor], Tensor]:
        """``f(updates - start)``; ``f(updates)`` where ``updates`` were restarted after ``start``."""
        import torch

        value, start = self.schedule.build(hyperparameters), hyperparameters.phase_begin()
        return lambda updates: value(torch.where(updates >= start, updates - start, updates))
