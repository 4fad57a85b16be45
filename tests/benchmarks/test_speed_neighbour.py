"""The workload ``neighbour`` at toy size: three situations, failures, the table."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from benchmarks.speed import neighbour
from benchmarks.speed.candidate import Candidate
from benchmarks.speed.command import chosen
from benchmarks.speed.machine import LIBRARIES
from benchmarks.speed.race import Row
from benchmarks.speed.report import table
from benchmarks.speed.text import text
from benchmarks.speed.worker import BenchFailed, Lap, Ready

EARLIER: list[psutil.Process] = []
MINE, DYING = Candidate("mine", "x:y"), Candidate("dying", "x:y", "peer")


class StandIn:
    """Makes 100 units a second alone, 60 beside a busy process; the second training makes 90."""

    pid = psutil.Process().pid

    def __init__(self, candidate: Candidate, number: int) -> None:
        self.candidate, self.number, self.laps = candidate, number, 0

    def lap(self, seconds: float) -> Lap:
        self.laps += 1
        if self.candidate is DYING and self.laps > 5:
            raise BenchFailed("its process died")
        rate = 60 if _busy() else 100 - 10 * self.number
        return Lap(int(rate * seconds * 1_000), seconds * 1_000, 0, 0)


def test_three_situations_of_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[StandIn] = []
    EARLIER[:] = psutil.Process().children()

    def started(candidate: Candidate, workload: Any, cache: str, row: Row, stack: Any) -> StandIn:
        row.ready = Ready(1.0, {}, 0)
        made.append(StandIn(candidate, sum(each.candidate is candidate for each in made)))
        return made[-1]

    monkeypatch.setattr(neighbour, "started", started)
    (workload,) = chosen(["neighbour"])
    said: list[str] = []
    absent = Candidate("absent", "x:y")
    rows = {MINE: Row(MINE), DYING: Row(DYING), absent: Row(absent, "not installed")}
    neighbour.share_machine(workload, rows, 0.01, 2, "", said.append)
    assert [each.rate for each in rows[MINE].repeats] == [100.0, 100.0]
    assert [(each.beside, each.together) for each in rows[MINE].shared] == [(60.0, 190.0)] * 2
    assert (rows[DYING].error, rows[DYING].shared) == ("its process died", [])
    assert len(made) == 4 and said[-1] == "neighbour: round 2 of 2"
    assert not _busy()

    found = table(workload, list(rows.values()))
    assert found["rows"][0]["kept_beside"] == {"median": 0.6, "low": 0.6, "high": 0.6}
    assert found["rows"][0]["two_of_one"]["median"] == 1.9
    machine = dict.fromkeys(("composer", "python", *LIBRARIES), "1") | {
        "cpu": "x", "cores": 2, "threads": 2, "cpu_capability": "y"
    }  # fmt: skip
    shown = text({"machine": machine, "repeats": 2, "seconds": 1.0, "foreign_limit": 0.2, "workloads": [found]})
    assert "60.0 (60.0 to 60.0)" in shown and "1.90 (1.90 to 1.90)" in shown and "two at once of one" in shown


def _busy() -> list[psutil.Process]:
    """The processes that this one has started in this test: it may have others, of earlier tests."""
    return [each for each in psutil.Process().children() if each not in EARLIER]
