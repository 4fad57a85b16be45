"""Profiles: whose time is counted where, and that a profiled run has the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_runs import tiny

from composer import api
from composer.training.profiling import Profile, text, timed


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """An outer stage that spends 1 s itself and calls an inner one of 3 s."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    @timed("outer")
    def outer(self) -> str:
        self.clock.now += 1
        self.inner()
        return "done"

    @timed("inner", first="first")
    def inner(self) -> None:
        self.clock.now += 3


def test_a_stage_counts_its_own_time_only() -> None:
    clock = Clock()
    worker, profile = Worker(clock), Profile("cpu", clock)
    with profile.active():
        assert worker.outer() == worker.outer() == "done"
        worker.inner()
        clock.now += 5
    rows = {row["stage"]: (row["seconds"], row["calls"]) for row in profile.table()["stages"]}
    assert rows == {"outer": (2, 2), "first": (3, 1), "inner": (6, 2), "everything else": (5, 0)}
    assert sum(row["share"] for row in profile.table()["stages"]) == pytest.approx(1)


def test_nothing_is_counted_while_no_profile_is_active() -> None:
    clock = Clock()
    worker, profile = Worker(clock), Profile("cpu", clock)
    with pytest.raises(ZeroDivisionError), profile.active():
        raise ZeroDivisionError
    assert worker.outer() == "done"
    assert [row["stage"] for row in profile.table()["stages"]] == ["everything else"]


def test_a_profiled_run_has_the_same_numbers_and_leaves_a_table(tmp_path: Path) -> None:
    plain = api.train(tiny(), tmp_path / "plain")
    watched = api.train(tiny(), tmp_path / "watched", profile=True)
    assert (plain.path / "journal.jsonl").read_bytes() == (watched.path / "journal.jsonl").read_bytes()
    table = json.loads((watched.path / "profile.json").read_text())
    calls = {row["stage"]: row["calls"] for row in table["stages"]}
    assert calls["first update (compiling)"] == 1
    assert calls["gradient updates"] == watched.table["updates"] - 1
    assert calls["environments: stepping"] > 0 and calls["checkpoints"] > 0
    shown = text(table)
    assert "gradient updates" in shown and "%" in shown
    assert not (plain.path / "profile.json").exists()
