"""What environments do, measured: steps of one task or game under random actions. Free of simulators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from composer.study.bench.party import Party
from composer.study.bench.workloads.base import Workload

_OURS = "composer.study.bench.ours.environments"
_PEERS = "composer.study.bench.peers.environments"


@dataclass(frozen=True)
class Control(Workload):
    """Control steps of one dm_control task, episodes ended and begun as they come, each observed as one vector."""

    unit: ClassVar[str] = "control steps"

    task: str

    def parties(self, seeds: Sequence[int]) -> tuple[Party, ...]:
        """The adapter, the vector environment that training uses, and dm_control's own ``step``."""
        return (
            Party("composer, adapter", f"{_OURS}:adapter"),
            Party("composer, vector of 1", f"{_OURS}:vector"),
            Party("dm_control", f"{_PEERS}:control", "peer", ("dm_control",), "dm_control", "parts are left apart"),
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
