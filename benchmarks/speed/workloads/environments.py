"""Workloads of environments: steps of one task or game with random actions. Free of simulators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from benchmarks.speed.candidate import Candidate
from benchmarks.speed.workloads.base import Workload

_OURS = "benchmarks.speed.ours.environments"
_PEERS = "benchmarks.speed.peers.environments"
_NATIVE = "benchmarks.speed.peers.native"

COPIES: Final = 8
"""Number of environments that step together."""


def at_once() -> int:
    """Number of environments that can step in parallel: the machine's cores."""
    return min(os.cpu_count() or 1, COPIES)


@dataclass(frozen=True)
class Control(Workload):
    """Control steps of one dm_control task with automatic resets, each observed as one vector."""

    unit: ClassVar[str] = "control steps"

    task: str

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """The adapter, the vector environment of training, dm_control's own ``step``, and the physics alone as floor.

        Where MuJoCo steps several environments natively, each is a unit.
        """
        alone, stale = "no observation, reward or end", "sensors are a substep old, the solver's warm start is lost"
        batched = f"mujoco.batch, {COPIES}"
        rolled = f"mujoco.rollout, {COPIES}"
        return (
            Candidate("composer, adapter", f"{_OURS}:adapter"),
            Candidate("composer, vector of 1", f"{_OURS}:vector"),
            Candidate(f"composer, vector of {COPIES}", f"{_OURS}:vector_of_copies"),
            Candidate(
                f"composer, vector of {COPIES} in workers", f"{_OURS}:vector_in_workers", differs="a worker per core"
            ),
            Candidate("dm_control", f"{_PEERS}:control", "peer", ("dm_control",), "dm_control", "parts are left apart"),
            Candidate("mj_step", f"{_NATIVE}:alone", "floor", differs=alone),
            Candidate(rolled, f"{_NATIVE}:rollout", "floor", differs=f"{alone}; {stale}"),
            Candidate(f"{rolled} in threads", f"{_NATIVE}:rollout_at_once", "floor", differs="a thread per core"),
            Candidate(batched, f"{_NATIVE}:batch", "floor", differs=alone),
            Candidate(f"{batched} in threads", f"{_NATIVE}:batch_at_once", "floor", differs="a thread per core"),
        )


@dataclass(frozen=True)
class Frames(Workload):
    """Steps of Atari games that step together, with all preprocessing."""

    unit: ClassVar[str] = "decisions"

    game: str
    copies: int

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        """This project's vector environment and the one of ALE that it wraps."""
        differs = "episodes have no seeds of their own and cannot be replayed"
        return (
            Candidate("composer", f"{_OURS}:games"),
            Candidate("AtariVectorEnv", f"{_PEERS}:games", "peer", ("ale_py",), "ale-py", differs),
        )
