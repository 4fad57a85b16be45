"""Rules of advice, and the blueprint that they read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from composer.blueprint.forecast.clock import Clock, clock_of, lengths_of
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path
from composer.environments.interface import EnvironmentInfo
from composer.interventions.clocks import Lengths
from composer.networks.blocks import Block
from composer.networks.outline import Outline
from composer.optim import Optimizer
from composer.optim.schedules.base import Schedule

Severity = Literal["info", "warn"]
Finding = tuple[Path, str]
"""The key that the advice is about, and the advice."""


@dataclass(frozen=True)
class Rule:
    """A rule of advice: its id, severity, source, and the function that finds where it applies."""

    id: str
    severity: Severity
    source: str
    """A paper, or ``argued``, where the message carries the whole argument."""
    find: Callable[[Subject], Iterator[Finding]]

    @property
    def summary(self) -> str:
        """What the rule looks for, in a line."""
        return inspect.getdoc(self.find) or ""


def rule(id: str, severity: Severity, source: str) -> Callable[[Callable[[Subject], Iterator[Finding]]], Rule]:
    """Make a rule of a function from a subject to findings, whose docstring says what it looks for."""
    return lambda find: Rule(id, severity, source, find)


class Subject:
    """A valid blueprint with the values that rules read of it."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint

    @cached_property
    def info(self) -> EnvironmentInfo:
        """What is known of the environment."""
        return self.blueprint.environment.info

    @cached_property
    def outlines(self) -> Mapping[str, Outline]:
        """One copy of each network, by role."""
        return self.blueprint.sound_outlines

    @cached_property
    def clock(self) -> Clock:
        """The clock of the run, at its start."""
        return clock_of(self.blueprint)

    @cached_property
    def lengths(self) -> Lengths:
        """The reading of every clock at the end of the run."""
        return lengths_of(self.blueprint)

    @property
    def interactions(self) -> int:
        """Interactions of the whole run."""
        return self.lengths.interaction

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return self.lengths.update

    def bootstrapped(self) -> set[str]:
        """Networks that learn from values of an average of themselves; labelled data have no values."""
        if not self.blueprint.environment.is_simulator:
            return set()
        evaluated = {each.network for each in self.blueprint.algorithm.evaluations()}
        return {network for name, network in self.blueprint.averaged_networks.items() if name in evaluated}

    def stepping(self, role: str) -> Optimizer | None:
        """What moves the parameters of a role: its optimizer, or the base of one that only says where gradients are."""
        optimizer = self.blueprint.optimizers.get(role)
        return optimizer.stepping if optimizer else None

    def weight_decay(self, role: str) -> float:
        """The largest weight decay of a role's optimizer; 0 where it knows none."""
        decay = getattr(self.stepping(role), "weight_decay", 0.0)
        return decay.bounds()[1] if isinstance(decay, Schedule) else float(decay)


def blocks(outline: Outline) -> Iterator[Outline]:
    """Every block of an outline, itself first."""
    yield outline
    for child in outline.children.values():
        yield from blocks(child)


def normalises(outline: Outline, *by: str) -> bool:
    """Whether a block in an outline normalises by one of these: ``Block.normalises``."""
    return any(Block.of(block).normalises in by for block in blocks(outline))


def on_sphere(outline: Outline) -> bool:
    """Whether parameters are kept at their norm."""
    return any(plan.is_projected for _, plan in outline.named_parameters())
