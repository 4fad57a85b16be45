"""How throughput grows with the number of seeds in one program. Tests: tests/study/test_gpu_suite.py."""

from __future__ import annotations

from functools import partial
from typing import Final

from composer.study.gpu.agents import MLP, SIMBA, Case, agent
from composer.study.gpu.laps import Party, race
from composer.study.gpu.pieces import Findings, Piece
from composer.study.gpu.setting import Setting
from composer.study.gpu.speed import updating


def scaling(case: Case, setting: Setting) -> Findings:
    """Agent updates a second from 1 seed to 32."""
    counts = setting.sized((1, 2, 4, 8, 16, 32), (1, 2))
    parties = [
        Party(str(count), updating(agent(case.load(setting, count), setting.device, setting.captured())))
        for count in counts
    ]
    laps = race(parties, setting)
    alone = laps["1"].median
    rows = [
        {
            "seeds": count,
            **laps[str(count)].times(count, "agent updates/s"),
            "times one seed": laps[str(count)].median * count / alone,
        }
        for count in counts
    ]
    return Findings(rows=rows)


PIECES: Final = (
    Piece("seeds-mlp", "SAC, MLP 2 x 256: agent updates a second by seeds in one program.", partial(scaling, MLP)),
    Piece("seeds-simba", "SAC, SimBa: agent updates a second by seeds in one program.", partial(scaling, SIMBA)),
)
