"""What every workload has: a name, a unit, and who takes part. Free of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from benchmarks.speed.party import Party
    from composer.blueprint import Blueprint

REPLAY_ROWS: Final = 100_000


@dataclass(frozen=True)
class Workload(ABC):
    """One thing that is measured, in the same way for every party."""

    unit: ClassVar[str]
    """What is counted, in the plural."""

    name: str
    """How the command line calls it."""
    title: str
    """How the table calls it."""

    @property
    def lap(self) -> float:
        """Length of a timed stretch, as a share of what was asked for."""
        return 1.0

    @property
    def curves(self) -> Mapping[str, float]:
        """Where it stands on the axes of the plot, by axis; empty for none."""
        return MappingProxyType({})

    @abstractmethod
    def parties(self, seeds: Sequence[int]) -> tuple[Party, ...]:
        """Who takes part; this project with each of ``seeds`` agents in one program, where that is asked."""


@dataclass(frozen=True)
class AgentWorkload(Workload, ABC):
    """Work of an agent. Every party builds it from the same resolved blueprint."""

    blueprint: str
    """Name of a shipped blueprint."""
    hidden: tuple[int, ...] | None = None
    """Hidden widths where the network is a plain MLP, which peers then build by their own means; None for any other."""
    overrides: tuple[str, ...] = ()
    rows: int = REPLAY_ROWS
    """Transitions of the replay memory."""
    peers: tuple[Party, ...] = field(default=())
    """Who else takes part."""

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
