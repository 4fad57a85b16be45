"""Workloads: a name, a unit and candidates. Free of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate, Subject
    from composer.blueprint import Blueprint

REPLAY_ROWS: Final = 100_000


@dataclass(frozen=True)
class Workload(ABC):
    """One thing that is measured, in the same way for every candidate."""

    unit: ClassVar[str]
    """The unit of work, in the plural."""

    name: str
    """Name on the command line."""
    title: str
    """Title in the table."""

    @property
    def lap(self) -> float:
        """Length of a timed stretch as a share of the requested one."""
        return 1.0

    @property
    def curves(self) -> Mapping[str, float]:
        """Places on the axes of the plot, by axis; empty for none."""
        return MappingProxyType({})

    def build(self, candidate: Candidate) -> Subject:
        """Build a candidate's subject in this process."""
        module, _, function = candidate.maker.partition(":")
        subject: Subject = getattr(import_module(module), function)(self, candidate)
        return subject

    @abstractmethod
    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """The candidates; this project's with each of ``seeds`` agents in one program, where the workload has that."""


@dataclass(frozen=True)
class AgentWorkload(Workload, ABC):
    """Work of an agent. Every candidate builds it from the same resolved blueprint."""

    blueprint: str
    """Name of a shipped blueprint."""
    hidden: tuple[int, ...] | None = None
    """Hidden widths of a plain MLP, which peers build themselves; None for other networks."""
    overrides: tuple[str, ...] = ()
    rows: int = REPLAY_ROWS
    """Transitions of the replay memory."""
    peers: tuple[Candidate, ...] = field(default=())
    """The other candidates."""

    def load(self, seeds: int = 1, compiled: bool = False) -> Blueprint:
        """The resolved blueprint for ``seeds`` seeds, the update compiled or eager."""
        from composer.blueprint import load
        from composer.blueprint.syntax.extends import shipped

        numbers = ", ".join(map(str, range(seeds)))
        mode = "always" if compiled else "never"
        own = (f"seeds=[{numbers}]", f"compute.compile={mode}", "compute.device=cpu")
        path = shipped()[self.blueprint]
        loaded = load(path, (*self.overrides, *own), is_to_run=False).blueprint
        if loaded.algorithm.learns_on_policy:
            return loaded
        return load(path, (*self.overrides, *own, f"replay.capacity={self.rows}")).blueprint
