"""Sampling: which of the transitions that are held an update learns from. State lives in ``experience.priorities``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from composer.optim.schedules import Constant, Share
from composer.spec.family import Family


class Sampling(Family, family="sampling"):
    """How a batch is drawn from the replay memory."""

    has_priorities: ClassVar[bool] = False
    """Whether each transition has a priority, which the algorithm reports anew after an update."""


class Uniform(Sampling, kind="uniform"):
    """Every transition is as likely as any other, with replacement."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "uniform"}


class Prioritised(Sampling, kind="prioritised"):
    """In proportion to a power of what was last learned about a transition, in equal shares of the sum.

    New transitions are as likely as the likeliest was. Losses are weighed by ``(N p)^-correction``, divided by the
    batch's largest weight. Source: arXiv:1511.05952 (proportional, stratified); exponents of Rainbow, arXiv:1710.02298.
    """

    has_priorities: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "prioritised", "exponent": 0.5, "correction": 0.5}

    exponent: float = Field(default=0.5, ge=0, le=1)
    """Power of the error that makes the priority; 0 is uniform."""
    correction: Share = Constant(value=0.5)
    """Share of the bias that weights undo, 0 to 1: a number, or a schedule over gradient updates."""
