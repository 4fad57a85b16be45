"""One phase of a simulator, declared: its task, its length, changes of what is observed.

Tests: tests/environments/test_simulator_phases.py.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from composer.environments.base import Environment
from composer.spec.family import Spec

Count = Annotated[int, Field(ge=1, le=10**12)]
LARGEST = 10**9
"""Largest number of an order of entries that a blueprint can name."""


class SimulatorPhase(Spec):
    """A part of training on one task."""

    env_steps: Count | None = None
    """Length in environment steps; the last phase may leave this out and then lasts to the end of the run."""
    task: Environment | None = None
    """The simulator of this phase; absent: that of ``environment.task``."""
    permutation: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    """Order of the entries of an observation: 0 keeps it, any other number is a random order of its own, the same
    whenever it comes again."""
    fresh: bool = False
    """Whether the phase has an order of its own each time that it begins; ``permutation`` is then left out."""
    offset: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Size of a constant shift of observations. Each entry's is drawn uniformly from -offset to offset together with
    the order: the same for the same ``permutation``, another one each time with ``fresh``."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.fresh and self.permutation:
            raise PydanticCustomError("phase_order", "'fresh' draws the order: leave 'permutation' out")
        if self.task is not None:
            ensure_task(self.task)
        return self


def ensure_task(task: Environment) -> None:
    """Raise PydanticCustomError where an environment cannot be the task of a phase."""
    if not task.is_simulator or task.stages(1):
        raise PydanticCustomError("phase_task", "a task is a plain simulator, got {kind}", {"kind": repr(task.kind)})
    fields = type(task).model_fields
    for key in ("copies", "workers", "timeout_seconds"):
        if getattr(task, key) != fields[key].default:
            raise PydanticCustomError(
                "phase_stepping", "all tasks are stepped alike: set environment.{key} instead of a task's", {"key": key}
            )
