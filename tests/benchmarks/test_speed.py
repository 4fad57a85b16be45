"""``python -m benchmarks.speed`` at toy sizes: processes, turns, failures, arithmetic, text and plot; no times."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from benchmarks.speed import command, plot, text
from benchmarks.speed.__main__ import app
from benchmarks.speed.candidate import FLOOR, Candidate, Subject, ours
from benchmarks.speed.command import WORKLOADS, bench
from benchmarks.speed.machine import ForeignLoad, held_memory, peak_memory
from benchmarks.speed.prepare import prepare
from benchmarks.speed.race import Repeat, Row
from benchmarks.speed.report import NotTheSameNetwork, Summary, assert_same_network, ratio, table
from benchmarks.speed.worker import BenchFailed, Lap, Ready, Worker, measure
from benchmarks.speed.workloads.agents import Learning
from benchmarks.speed.workloads.base import Workload
from benchmarks.speed.workloads.starting import Starting
from composer.studies import Refused

SMALL = (
    "algorithm.batch_size=8", "algorithm.warmup_interactions=10",
    "networks.actor.trunk.width=8", "networks.critic.trunk.width=8",
)  # fmt: skip
LEARNER = "learning:learner"
MIB = 2**20


@dataclass(frozen=True)
class Toy(Learning):
    """The MLP at toy size, with a cast of its own."""

    cast: tuple[Candidate, ...] = ()

    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        return self.cast


def toy(*cast: Candidate) -> Toy:
    return Toy(
        "toy", "toy MLP", "dmc/sac_mlp", (8, 8), SMALL, rows=600, places={"width": 8, "seeds": 1}, cast=cast
    )  # fmt: skip


@dataclass(frozen=True)
class ToyStarts(Starting):
    def candidates(self, seeds: Sequence[int]) -> tuple[Candidate, ...]:
        return (Candidate("twice", f"{__name__}:twice", compiles=True), Candidate("broken", f"{__name__}:broken"))


def broken(workload: Workload, candidate: Candidate) -> Subject:
    raise RuntimeError("no such thing")


def dying(workload: Workload, candidate: Candidate) -> Subject:
    raise SystemExit(9)


def twice(workload: Any, candidate: Candidate) -> Subject:
    """Leaves a file in the cache as compiled code would; with it, there are two seeds."""
    mark = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / "compiled"
    subject = workload.build(ours(LEARNER, 2 if mark.exists() else 1, compiles=False))
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return subject


TWICE = Candidate("twice", f"{__name__}:twice", compiles=True)
BROKEN = Candidate("broken", f"{__name__}:broken")
ABSENT = Candidate("absent", f"{__name__}:broken", "peer", ("no_such_module",), "no-such", "does less")
PEER = Candidate("peer", "benchmarks.speed.ours.learning:learner", "peer", differs="is ours")


@pytest.mark.slow
def test_whole_benchmark_with_processes_and_failures(tmp_path: Path) -> None:
    """Alone runs the benchmark in its processes: rounds, starts, failures, an absent library, the picture."""
    said: list[str] = []
    cast = (FLOOR, TWICE, ours(LEARNER, 3, compiles=False), BROKEN, PEER, ABSENT)
    out, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    starting = ToyStarts("starts", "toy starts", "dmc/sac_mlp", (8, 8), SMALL, rows=600)
    result = bench(0.01, 2, said.append, out, picture, [toy(*cast), starting])
    workload, started = result["workloads"]
    rows = {row["name"]: row for row in workload["rows"]}
    assert rows["broken"]["error"] == "RuntimeError: no such thing" and not rows["broken"]["skipped"]
    assert rows["absent"]["skipped"] and "pip install 'no-such'" in rows["absent"]["error"]
    assert [name for name, row in rows.items() if row["error"]] == ["broken", "absent"], rows
    # What a first process compiled, the timed one finds on disk.
    assert all(repeat["units"] % 2 == 0 for repeat in rows["twice"]["repeats"])
    stacked = rows["composer, eager, 3 seeds"]
    assert len(stacked["repeats"]) == 2 and all(repeat["units"] % 3 == 0 for repeat in stacked["repeats"])
    assert rows[FLOOR.name]["gflop_each"] == stacked["gflop_each"] > 0
    assert stacked["share_of_floor"]["low"] > 0 and rows[FLOOR.name]["share_of_floor"] is None
    assert set(stacked["times_as_fast_as"]) == {"peer", "absent"} and stacked["times_as_fast_as"]["absent"] is None
    assert stacked["peak_mib"] > 50
    (first, second) = started["rows"]
    assert first["cold_start_seconds"] > 0 and len(first["starts"]) == 2
    assert second["error"] == "RuntimeError: no such thing"
    shown = text.text(result)
    for expected in ("failed: RuntimeError: no such thing", "skipped: not installed", "toy MLP", "torch", "cold s"):
        assert expected in shown
    assert any("round 2 of 2" in line for line in said) and "toy: compiling twice" in said
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    assert picture.read_text().startswith("<?xml")


def test_result_that_cannot_be_written_stops_before_measuring(tmp_path: Path) -> None:
    def fail(line: str) -> None:
        raise AssertionError(line)

    with pytest.raises(FileNotFoundError):
        bench(1.0, 1, fail, tmp_path / "missing" / "bench.json", workloads=[toy(TWICE)])
    with pytest.raises(Refused, match="no such folder"):
        bench(1.0, 1, fail, plot=tmp_path / "missing" / "bench.png", workloads=[toy(TWICE)])
    with pytest.raises(Refused, match="nothing that was chosen can be plotted; these can: mlp, mlp-width-64"):
        bench(1.0, 1, fail, plot=tmp_path / "bench.png", workloads=command.chosen(["atari-1"]))


def test_process_that_dies_is_reported(tmp_path: Path) -> None:
    worker = Worker(Candidate("dying", f"{__name__}:dying"), toy(), str(tmp_path))
    with pytest.raises(BenchFailed, match="died with exit code 9"):
        worker.ready()
    worker.close()


def test_failures_while_compiling_are_kept(tmp_path: Path) -> None:
    workload, failing = toy(), replace(BROKEN, compiles=True)
    assert prepare([(workload, failing)], str(tmp_path), lambda line: None) == {
        ("toy", failing): "RuntimeError: no such thing"
    }


def test_ratios_are_taken_within_rounds() -> None:
    """The machine halves its speed in the second round: the ratio does not notice."""
    fast, slow = (_row(name, rate, rate / 2) for name, rate in (("a", 30.0), ("b", 10.0)))
    assert ratio(fast, slow) == Summary(3.0, 3.0, 3.0)
    assert ratio(fast, Row(_party("c"), error="failed")) is None


def test_a_start_that_takes_half_as_long_is_twice_as_fast() -> None:
    ours_, theirs = Row(_party("a"), starts=[2.0, 3.0]), Row(_party("b"), starts=[4.0, 9.0])
    assert ratio(ours_, theirs) == Summary(2.5, 2.0, 3.0)


def test_unequal_networks_are_refused() -> None:
    rows = [Row(_party(str(n)), ready=Ready(1.0, {"actor": n}, 1)) for n in (5, 6)]
    with pytest.raises(NotTheSameNetwork, match=r"5 has parameters \{'actor': 5\}, 6 has \{'actor': 6\}"):
        assert_same_network(rows)


def test_a_table_by_hand() -> None:
    """The floor makes 100 a second of 2 GFLOP, the candidate 50 and then 40, a peer 25 and then 10."""
    floor = _row(FLOOR.name, 100.0, 100.0, role="floor")
    mine, peer = _row("mine", 50.0, 40.0), _row("peer", 25.0, 10.0, role="peer")
    made = table(toy(), [floor, mine, peer])
    row = made["rows"][1]
    assert row["per_second"] == {"median": 45.0, "low": 40.0, "high": 50.0}
    assert row["milliseconds_each"] == pytest.approx(1e3 / 45)
    assert (row["gflop_each"], row["gflop_per_second"]) == (2.0, 90.0)
    assert row["share_of_floor"] == {"median": 0.45, "low": 0.4, "high": 0.5}
    assert row["times_as_fast_as"] == {"peer": {"median": 3.0, "low": 2.0, "high": 4.0}}
    # The second lap of 400 units ended with 3 MiB more than the first.
    assert (row["peak_mib"], row["grown_mib"], row["grown_over"]) == (203.0, 3.0, 400)
    shown = text.text(_result(made))
    line = next(line for line in shown.splitlines() if line.startswith("mine"))
    assert re.split(r"\s{2,}", line)[1:5] == ["45.0 (40.0 to 50.0)", "22.2", "2.000", "90.0"]
    assert "+3.0 in 400" in line and "45%" in line and "3.00 (2.00 to 4.00)" in line
    assert "‡" not in shown


def test_columns_that_nobody_fills_are_left_out() -> None:
    row = _row("mine", 50.0, 40.0)
    row.ready = Ready(1.0, {}, 0)
    shown = text.text(_result(table(toy(), [row])))
    assert "GFLOP" not in shown and "of floor" not in shown and "parameters" not in shown and "ms each" in shown


def test_repeats_that_others_disturb_are_marked() -> None:
    assert _repeat(1.0, foreign=0.21).disturbed and not _repeat(1.0, foreign=0.19).disturbed
    row = _row("mine", 50.0)
    row.repeats.append(_repeat(50.0, foreign=1.0))
    assert "(50.0 to 50.0) ‡1" in text.text(_result(table(toy(), [row])))


def test_own_work_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 s of a busy machine, 2 s are the worker's: 1 s in 2 s is half a core of others."""
    now = iter([(100.0, 50.0, 7.0), (102.0, 53.0, 9.0)])
    monkeypatch.setattr(ForeignLoad, "_now", lambda self: next(now))
    assert ForeignLoad(os.getpid()).cores() == 0.5


def test_a_lap_counts_units_until_its_time_is_over() -> None:
    class Counted:
        units: ClassVar[int] = 3
        settled = False

        def call(self) -> None: ...

        def settle(self) -> None:
            self.settled = True

    subject: Any = Counted()
    times = iter([0.0, 1.0, 2.0, 2.5])
    lap = measure(subject, 2.0, clock=lambda: next(times))
    # Settling belongs to the time: two calls, read at 1 and 2 s, done at 2.5 s.
    assert (lap.units, lap.seconds, subject.settled) == (6, 2.5, True)


def test_peak_memory_remembers_what_was_let_go() -> None:
    before = peak_memory()
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    at_most = peak_memory()
    del block
    # The kernel counts a process's pages to within a few MiB.
    assert at_most > before - 8 * MIB and peak_memory() > at_most - 8 * MIB
    assert peak_memory() > max(held_memory() - 8 * MIB, 64 * MIB)


def test_points_of_the_plot_are_where_workloads_stand() -> None:
    seeds = [_row("composer, eager, 1 seed", 10.0), _row("composer, eager, 4 seeds", 30.0, seeds=4)]
    base = table(toy(), [*seeds, _row(FLOOR.name, 99.0, role="floor")])
    wide = table(replace(toy(), places={"width": 4}), [_row("composer, eager, 1 seed", 20.0)])
    found = plot.points(_result(base, wide))
    middle = {
        axis: {name: [(x, rate["median"]) for x, rate in line] for name, line in lines.items()}
        for axis, lines in found.items()
    }
    assert middle == {
        "width": {"composer, eager": [(4.0, 20.0), (8.0, 10.0)], FLOOR.name: [(8.0, 99.0)]},
        "seeds": {"composer, eager": [(1.0, 10.0), (4.0, 30.0)], FLOOR.name: [(1.0, 99.0)]},
    }


def test_a_plot_of_nothing_is_refused(tmp_path: Path) -> None:
    failed = Row(_party("a"), error="failed")
    with pytest.raises(Refused, match="nothing could be measured"):
        plot.plot(_result(table(toy(), [failed])), tmp_path / "x.png")


def test_workloads_and_seeds_are_chosen_by_name() -> None:
    assert command.chosen([]) == WORKLOADS
    assert [each.name for each in command.chosen(["simba", "mlp"])] == ["mlp", "simba"]
    with pytest.raises(Refused, match="no workload named 'simbaa'; did you mean 'simba'"):
        command.chosen(["simbaa"])
    (simba,) = command.chosen(["simba"])
    assert [candidate.seeds for candidate in simba.candidates((1, 2, 16)) if candidate.role == "ours"] == [1, 1, 2, 2]
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)
    for workload in WORKLOADS:
        names = [candidate.name for candidate in workload.candidates((1, 2))]
        assert len(set(names)) == len(names)


def test_command_line_lists_and_refuses() -> None:
    run = CliRunner().invoke(app, ["--list"])
    assert run.exit_code == 0 and re.search(r"^atari-8 +Atari, Pong, 8 games$", run.output, re.MULTILINE)
    assert CliRunner().invoke(app, ["no-such"]).exit_code == 2
    assert CliRunner().invoke(app, ["mlp", "--seeds", "0"]).exit_code == 2


def _party(name: str, role: Any = "ours", seeds: int = 1) -> Candidate:
    return Candidate(name, "x:y", role, seeds=seeds)


def _repeat(rate: float, foreign: float = 0.0, held: int = 100 * MIB) -> Repeat:
    return Repeat(Lap(int(rate * 10), 10.0, held, held + 100 * MIB), foreign)


def _row(name: str, *rates: float, role: Any = "ours", seeds: int = 1) -> Row:
    laps = [_repeat(rate, held=(100 + 3 * number) * MIB) for number, rate in enumerate(rates)]
    return Row(_party(name, role, seeds), ready=Ready(1.0, {}, 2 * 10**9), repeats=laps)


def _result(*tables: dict[str, Any]) -> dict[str, Any]:
    machine = dict.fromkeys(("composer", "python", *text.LIBRARIES), "1") | {
        "cpu": "x", "cores": 2, "threads": 2, "cpu_capability": "y"
    }  # fmt: skip
    return {"machine": machine, "repeats": 2, "seconds": 1.0, "foreign_limit": 0.2, "workloads": list(tables)}
