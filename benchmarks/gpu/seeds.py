"""How throughput grows with the number of seeds in one program. Tests: tests/benchmarks/test_gpu.py."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.gpu.agents import MLP, SIMBA, Case, agent
from benchmarks.gpu.laps import by_count
from benchmarks.gpu.pieces import Findings, Piece
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.speed import updating


def scaling(case: Case, setting: Setting) -> Findings:
    """Agent updates per second from 1 seed to 32."""
    counts = setting.sized((1, 2, 4, 8, 16, 32), (1, 2))
    made = {count: updating(agent(case.load(setting, count), setting.device, setting.captured())) for count in counts}
    return Findings(rows=by_count(made, setting, "seeds", "agent updates/s", "times one seed"))


PIECES: Final = (
    Piece(
        "seeds-mlp",
        "SAC, MLP 2 x 256: agent updates per second by number of seeds in one program.",
        partial(scaling, MLP),
    ),
    Piece(
        "seeds-simba",
        "SAC, SimBa: agent updates per second by number of seeds in one program.",
        partial(scaling, SIMBA),
    ),
)
