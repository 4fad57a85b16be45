"""``composer study plan``: what a study costs, before it is trained, and whether that is above a limit.

Tests: tests/studies/planning/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.blueprint.forecast.duration import UNCERTAINTY, guessed_seconds
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.memory import available_bytes, disk_bytes
from composer.spec.quantities import bytes_text, columns, counted, duration, scaled
from composer.studies.execution.resources import share
from composer.studies.planning.calibration import Pace, calibrate, known_paces, workload
from composer.studies.planning.cost import PROCESS_BYTES, RunCost, costs
from composer.studies.planning.fleets import gain
from composer.studies.planning.limits import Limits, exceeded
from composer.studies.study.points import StudyRun

BUSY = 0.7
"""Share of a core below which the plan says that other processes were busy."""


@dataclass(frozen=True)
class Hours:
    """Hours of one process after another: lowest, middle, highest."""

    low: float
    middle: float
    high: float
    is_measured: bool
    """Whether each run was timed here; otherwise they are guessed from its arithmetic, and may be ten times off."""

    def of(self, jobs: int) -> Hours:
        """The same, ``jobs`` processes at a time that do not slow each other down."""
        return Hours(self.low / jobs, self.middle / jobs, self.high / jobs, self.is_measured)


def plan(
    name: str,
    runs: Sequence[StudyRun],
    runs_dir: Path,
    folder: Path,
    jobs: int,
    limits: Limits,
    say: Callable[[str], None],
    is_calibrated: bool = True,
    programs: Sequence[Sequence[StudyRun]] = (),
) -> dict[str, Any]:
    """The table of ``--json``; ``is_calibrated`` first trains a few seconds of each distinct run that was not timed.

    ``programs`` are the runs that train in one process; a run that is in none has its own.
    """
    found = costs(runs, runs_dir)
    threads = share(jobs)
    paces = calibrate(found, folder, threads, say) if is_calibrated else known_paces(folder)
    waiting = [each for each in found if each.left]
    processes = _processes(waiting, programs)
    hours = _hours(processes, paces, threads).of(min(jobs, max(len(processes), 1)))
    table = {
        "study": name,
        "folder": str(folder),
        "jobs": jobs,
        "runs": len(found),
        "finished": sum(not each.left for each in found),
        "begun": sum(0 < each.left < 1 for each in found),
        **_work(waiting, processes),
        **_space(waiting, processes, jobs, runs_dir),
        "processor_share": min((pace.got for pace in paces.values()), default=1.0),
        "hours": {"low": hours.low, "middle": hours.middle, "high": hours.high, "measured": hours.is_measured},
        "rows": [_row(each, paces.get(workload(each, threads))) for each in found],
    }
    return table | {"above": exceeded(table, limits)}


def _work(waiting: Sequence[RunCost], processes: Sequence[Sequence[RunCost]]) -> dict[str, int]:
    """What is left to train and to compile."""
    compiled = {each.update.program: each.update.is_cached for each in waiting if each.update.compiles}
    return {
        "seeds": sum(len(each.run.blueprint.seeds) for each in waiting),
        "processes": len(processes),
        "programs": len({each.update.program for each in waiting}),
        "compilations": sum(not cached for cached in compiled.values()),
        "updates": round(sum(each.updates * each.left for each in waiting)),
        "env_steps": round(sum(_env_steps(each) * each.left for each in waiting)),
        "flops": round(sum(each.flops * each.left for each in waiting)),
    }


def _space(
    waiting: Sequence[RunCost], processes: Sequence[Sequence[RunCost]], jobs: int, runs_dir: Path
) -> dict[str, int]:
    """Bytes of memory, ``jobs`` of the largest processes at a time, and of disk."""
    memory = (sum(each.memory - PROCESS_BYTES for each in several) + PROCESS_BYTES for several in processes)
    largest = sorted(memory, reverse=True)
    return {
        "memory_of_largest": max(largest, default=0),
        "memory": sum(largest[:jobs]),
        "memory_free": available_bytes(),
        "disk": round(sum(each.disk * each.left for each in waiting)),
        "disk_free": disk_bytes(runs_dir),
    }


def _env_steps(cost: RunCost) -> int:
    return cost.run.blueprint.training.env_steps * len(cost.run.blueprint.seeds)


def _processes(waiting: Sequence[RunCost], programs: Sequence[Sequence[StudyRun]]) -> list[list[RunCost]]:
    """The costs of the runs of each process that is left."""
    place = {run.key: number for number, program in enumerate(programs) for run in program}
    found: dict[object, list[RunCost]] = {}
    for each in waiting:
        found.setdefault(place.get(each.run.key, each.run.key), []).append(each)
    return [*found.values()]


def _hours(processes: Sequence[Sequence[RunCost]], paces: Mapping[str, Pace], threads: int) -> Hours:
    total = [0.0, 0.0, 0.0]
    is_measured = True
    for several in processes:
        faster = gain(update_flops(several[0].run.blueprint), len(several))
        for each in several:
            pace = paces.get(workload(each, threads))
            is_measured &= pace is not None
            for index, seconds in enumerate(pace.seconds(each) if pace else _guessed(each)):
                total[index] += seconds * each.left / 3600 / faster
    return Hours(total[0], total[1], total[2], is_measured)


def _guessed(cost: RunCost) -> tuple[float, float, float]:
    middle = guessed_seconds(cost.run.blueprint)
    return middle / UNCERTAINTY, middle, middle * UNCERTAINTY


def _row(cost: RunCost, pace: Pace | None) -> dict[str, Any]:
    return {
        "point": cost.run.point.name,
        "values": dict(cost.run.point.values),
        "task": cost.run.task,
        "seeds": len(cost.run.blueprint.seeds),
        "env_steps": cost.run.blueprint.training.env_steps,
        "updates": cost.updates,
        "flops": cost.flops,
        "memory": cost.memory,
        "disk": cost.disk,
        "program": cost.update.program,
        "compiles": cost.update.compiles,
        "cached": cost.update.is_cached,
        "left": cost.left,
        "seconds": None if pace is None else list(pace.seconds(cost)),
    }


def text(table: Mapping[str, Any]) -> str:
    """A line per run, and the whole."""
    rows = [("point", "task", "seeds", "env steps", "updates", "operations", "memory", "disk", "time", "left")]
    for each in table["rows"]:
        seconds = each["seconds"]
        cells = (each["point"], each["task"], str(each["seeds"]), f"{each['env_steps']:,}", f"{each['updates']:,}")
        sizes = (scaled(each["flops"], "FLOP"), bytes_text(each["memory"]), bytes_text(each["disk"]))
        rows.append((*cells, *sizes, "" if seconds is None else duration(seconds[1]), f"{each['left']:.0%}"))
    return "\n".join([*columns(rows, right=range(2, 10)), *summary(table)])


def summary(table: Mapping[str, Any]) -> list[str]:
    """What is left to do of the whole, in lines."""
    left = table["runs"] - table["finished"]
    before = [f"{table[key]} {key}" for key in ("finished", "begun") if table[key]]
    already = f" ({', '.join(before)} of {table['runs']})" if before else ""
    compiled = f", {counted(table['compilations'], 'compilation')}" if table["compilations"] else ""
    hours = table["hours"]
    how = "as measured here" if hours["measured"] else "guessed from arithmetic, not measured"
    low, middle, high = (duration(hours[key] * 3600) for key in ("low", "middle", "high"))
    work = f"{table['env_steps']:,} environment steps, {table['updates']:,} updates, {scaled(table['flops'], 'FLOP')}"
    jobs = counted(table["jobs"], "process") if table["jobs"] == 1 else f"{table['jobs']} processes"
    lines = [
        f"{counted(left, 'run')} to train{already}, {counted(table['seeds'], 'agent')} in all,"
        f" in {counted(table['processes'], 'program')} of {counted(table['programs'], 'structure')}{compiled}",
        work,
        f"time: about {middle} ({low} to {high}) with {jobs} at a time, {how}",
        f"memory: {bytes_text(table['memory'])} for {jobs}, {bytes_text(table['memory_free'])} free;"
        f" disk: {bytes_text(table['disk'])}, {bytes_text(table['disk_free'])} free",
    ]
    if hours["measured"] and table["processor_share"] < BUSY:
        share = f"{table['processor_share']:.0%}"
        lines.append(f"this machine was busy: what was timed got {share} of a core at times, so it may take less")
    return lines + [f"above the limit: {each['text']}" for each in table["above"]]
