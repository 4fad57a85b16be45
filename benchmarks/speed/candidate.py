"""Implementations under test. A candidate is a plain value; a worker process builds it. Free of torch.

Tests: tests/benchmarks/test_speed.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal, Protocol


class Subject(Protocol):
    """A candidate as it runs: what a worker times."""

    units: int
    """Units of work of one ``call``: agent updates, decisions, environment steps."""

    def call(self) -> None:
        """The smallest unit of work."""

    def settle(self) -> None:
        """Wait for pending work."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters of one agent by network; empty where there is no agent."""

    def flops(self) -> int:
        """Floating-point operations in the products and convolutions of one unit; 0 where they are not counted."""


@dataclass(frozen=True)
class Candidate:
    """One row of a table."""

    name: str
    maker: str
    """``package.module:function``: called with the workload and this candidate, in the candidate's own process."""
    role: Literal["ours", "peer", "floor"] = "ours"
    """Speeds are shown relative to peers and to the floor."""
    needs: tuple[str, ...] = ()
    """Modules that must be installed."""
    install: str = ""
    """The packages that have them."""
    differs: str = ""
    """How it differs from the others, for the table."""
    seeds: int = 1
    """Agents trained in one program."""
    compiles: bool = False
    """Whether another process compiles beforehand: the timed one finds the code on disk."""

    def absent(self) -> str | None:
        """Why this candidate cannot run here; None where it can."""
        if any(find_spec(module) is None for module in self.needs):
            return f"not installed: pip install '{self.install}'"
        if self.compiles:
            from composer.training.compile.compiler import missing_for_compiling

            return missing_for_compiling()
        return None


_BENCH: Final = "benchmarks.speed"
_SHIMMY: Final = "shimmy>=2.0.1,<2.1"


def ours(maker: str, seeds: int, compiles: bool) -> Candidate:
    """This project, with as many seeds in one program; ``maker`` is below ``benchmarks.speed.ours``."""
    name = f"composer, {'compiled' if compiles else 'eager'}, {seeds} seed{'s' if seeds > 1 else ''}"
    return Candidate(name, f"{_BENCH}.ours.{maker}", seeds=seeds, compiles=compiles)


FLOOR: Final = Candidate("matrix products alone", f"{_BENCH}.products:floor", "floor")
"""The products and convolutions of one update, which bound every implementation of the same arithmetic."""


def stable_baselines(maker: str, differs: str = "", shimmy: bool = False) -> Candidate:
    """stable-baselines3; ``maker`` is below ``benchmarks.speed.peers``."""
    return _peer("stable-baselines3", maker, differs, ("stable_baselines3",), "stable-baselines3>=2.9,<3", shimmy)


def contrib(maker: str, differs: str = "") -> Candidate:
    """The contrib package of stable-baselines3."""
    needs = ("stable_baselines3", "sb3_contrib")
    return _peer("stable-baselines3 contrib", maker, differs, needs, "sb3-contrib>=2.9,<3", shimmy=False)


def sbx(maker: str, differs: str = "", shimmy: bool = False) -> Candidate:
    """SBX, stable-baselines3's interface over JAX."""
    return _peer("SBX", maker, differs, ("sbx", "jax"), "sbx-rl>=0.28,<0.29", shimmy)


def torchrl(maker: str, differs: str = "") -> Candidate:
    """TorchRL, eager."""
    return _peer("TorchRL", maker, differs, ("torchrl", "tensordict"), "torchrl>=0.14.1,<0.15", shimmy=False)


def _peer(name: str, maker: str, differs: str, needs: tuple[str, ...], install: str, shimmy: bool) -> Candidate:
    if shimmy:
        needs, install = (*needs, "shimmy"), f"{install}' '{_SHIMMY}"
    return Candidate(name, f"{_BENCH}.peers.{maker}", "peer", needs, install, differs)
