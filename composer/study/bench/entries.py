"""Who takes part. An entry is a plain value that travels to a worker process and is built there. Free of torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from composer.study.bench.workloads import Workload


class Subject(Protocol):
    """A party as it runs: what a worker times."""

    agents: int
    """Agents that one call of ``update`` trains: a call is that many agent updates."""

    def update(self) -> None:
        """One update of critic, actor, temperature and target, its replay sampling included."""

    def settle(self) -> None:
        """Wait until all updates are computed."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters of one agent by network; empty where there is no agent."""

    def flops(self) -> int:
        """Floating-point operations in the matrix products of one ``update``."""


class Entry(ABC):
    """One row of the table."""

    name: str
    compiles: bool = False
    """Whether a first process is started and thrown away, so that the timed one finds compiled code on disk."""

    def absent(self) -> str | None:
        """Why this entry cannot run here; None where it can."""
        return None

    @abstractmethod
    def build(self, workload: Workload) -> Subject:
        """The party itself, in the process that calls."""


@dataclass(frozen=True)
class Ours(Entry):
    """This project's learner."""

    seeds: int
    compiles: bool

    @property
    def name(self) -> str:  # type: ignore[override]
        """How the table calls it."""
        return f"composer, {'compiled' if self.compiles else 'eager'}, {self.seeds} seed{'s' if self.seeds > 1 else ''}"

    def absent(self) -> str | None:
        """Compiled code needs a compiler."""
        from composer.compiling import missing_for_compiling

        return missing_for_compiling() if self.compiles else None

    def build(self, workload: Workload) -> Subject:
        """A learner and a full replay."""
        from composer.study.bench.subjects import LearnerSubject

        return LearnerSubject(workload.load(self.seeds, self.compiles), workload)


@dataclass(frozen=True)
class StableBaselines(Entry):
    """SAC of stable-baselines3, one agent."""

    name: str = "stable-baselines3"

    def absent(self) -> str | None:
        """An optional dependency."""
        return None if find_spec("stable_baselines3") else "not installed: pip install 'stable-baselines3>=2.9,<3'"

    def build(self, workload: Workload) -> Subject:
        """An agent of the same network over the same contents."""
        from composer.study.bench.peers import StableBaselinesSubject

        return StableBaselinesSubject(workload.load(), workload)


@dataclass(frozen=True)
class MatrixProducts(Entry):
    """The matrix products of one update alone: what no implementation of the same arithmetic beats by much."""

    name: str = "matrix products alone"

    def build(self, workload: Workload) -> Subject:
        """The products of this project's eager update, recorded and ready to be repeated."""
        from composer.study.bench.products import ProductsSubject
        from composer.study.bench.subjects import LearnerSubject

        return ProductsSubject(LearnerSubject(workload.load(), workload).update_eagerly)


FLOOR: Final = MatrixProducts()
OURS: Final = tuple(Ours(seeds, compiled) for seeds in (1, 3) for compiled in (False, True))
PEERS: Final = (StableBaselines(),)
