"""What environments do, measured: steps of one task or game under random actions. Free of simulators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from benchmarks.speed.party import Party
from benchmarks.speed.workloads.base import Workload

_OURS = "benchmarks.speed.ours.environments"
_PEERS = "benchmarks.speed.peers.environments"
_NATIVE = "benchmarks.speed.peers.native"

COPIES: Final = 8
"""Environments that step together."""


def at_once() -> int:
    """How many of them can: the machine's cores."""
    return min(os.cpu_count() or 1, COPIES)


@dataclass(frozen=True)
class Control(Workload):
    """Control steps of one dm_control task, episodes ended and begun as they come, each observed as one vector."""

    unit: ClassVar[str] = "control steps"

    task: str

    def parties(self, seeds: Sequence[int]) -> tuple[Party, ...]:
        """The adapter, the vector environment that training uses, dm_control's own ``step``, and less than a step.

        The physics alone is the floor; where MuJoCo steps some environments natively, each is a unit.
        """
        alone, stale = "no observation, reward or end", "sensors are a substep old, the solver's warm start is lost"
        batched = f"mujoco.batch, {COPIES}"
        rolled = f"mujoco.rollout, {COPIES}"
        return (
            Party("composer, adapter", f"{_OURS}:adapter"),
            Party("composer, vector of 1", f"{_OURS}:vector"),
            Party(f"composer, vector of {COPIES}", f"{_OURS}:vector_of_copies"),
            Party(f"composer, vector of {COPIES} in workers", f"{_OURS}:vector_in_workers", differs="a worker a core"),
            Party("dm_control", f"{_PEERS}:control", "peer", ("dm_control",), "dm_control", "parts are left apart"),
            Party("mj_step", f"{_NATIVE}:alone", "floor", differs=alone),
            Party(rolled, f"{_NATIVE}:rollout", "floor", differs=f"{alone}; {stale}"),
            Party(f"{rolled} in threads", f"{_NATIVE}:rollout_at_once", "floor", differs="a thread a core"),
            Party(batched, f"{_NATIVE}:batch", "floor", differs=alone),
            Party(f"{batched} in threads", f"{_NATIVE}:batch_at_once", "floor", differs="a thread a core"),
        )


@dataclass(frozen=True)
class Frames(Workload):
    """Decisions of Atari games that step together, all of the preprocessing included."""

    unit: ClassVar[str] = "decisions"

    game: str
    copies: int

    def parties(self, seeds: Sequence[int]) -> tuple[Party, ...]:
        """This project's vector environment and the one of Gymnasium's that it stands on."""
        differs = "episodes have no seeds of their own and cannot be replayed"
        return (
            Party("composer", f"{_OURS}:games"),
            Party("AtariVectorEnv", f"{_PEERS}:games", "peer", ("ale_py",), "ale-py", differs),
        )
