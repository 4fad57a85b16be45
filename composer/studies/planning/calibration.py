"""How long runs take on this machine: a short stretch of each distinct one is trained and timed.

    STUDY/calibration.json    what was measured, by program, task, threads and machine

Tests: tests/studies/planning/test_plan.py.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from composer.blueprint import Blueprint, BlueprintError, load
from composer.blueprint.forecast.duration import guessed_seconds
from composer.blueprint.serialize import resolved
from composer.blueprint.syntax.notation import experiment
from composer.spec.errors import ComposerError
from composer.spec.run_files import read_table, write_text
from composer.studies.planning.cost import RunCost
from composer.training import assemble
from composer.training.loop import training_steps
from composer.training.session import Session

CALIBRATION = "calibration.json"
LAPS = 3
LAP_SECONDS = 0.7
WARMUP = 300
"""Interactions with random actions before the updates that are timed, at the most."""
BUDGET = 20.0
"""Seconds after which no other run is measured; those that are left take the pace of a run of the same program."""
HEAVY = 1.0
"""Seconds of an interaction with its updates, as guessed, above which a run is not measured."""
EVALUATION_SECONDS = 2.0
"""After which an evaluation is broken off; its rest takes as long a decision, up to the time limit of episodes."""
COMPILE_SECONDS = (26.0, 35.0, 48.0)
"""Of a cold compilation on a CPU: lowest, middle, highest (docs/benchmarks/speed.md)."""


@dataclass(frozen=True)
class Pace:
    """Seconds, as measured: of an interaction the lowest, the median and the highest of several laps."""

    start: float
    """Of a process until it could train."""
    random: float
    """Of an interaction with random actions."""
    trained: tuple[float, float, float]
    """Of an interaction with its updates."""
    evaluation: float
    """Of an evaluation of the untrained agent."""
    got: float = 1.0
    """Seconds of processor time in a second, at most 1: little where other processes were busy."""

    def seconds(self, cost: RunCost) -> tuple[float, float, float]:
        """Of a whole run: lowest, middle, highest."""
        fixed = self.start + cost.warmup * self.random + cost.evaluations * self.evaluation
        cold = COMPILE_SECONDS if cost.update.compiles and not cost.update.is_cached else (0.0, 0.0, 0.0)
        later = cost.interactions - cost.warmup
        low, middle, high = (fixed + more + later * each for more, each in zip(cold, self.trained, strict=True))
        return low, middle, high


def workload(cost: RunCost, threads: int) -> str:
    """A key that runs share which take the same time: program, task, evaluation, threads and machine."""
    declared = cost.run.blueprint
    table = resolved(declared)
    episodes = declared.evaluation.episodes
    parts = [cost.update.program, table["environment"], episodes, table["replay"], threads, platform.node()]
    text = json.dumps([*parts, declared.algorithm.update_schedule(declared.environment.info).update_to_data])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def known_paces(folder: Path) -> dict[str, Pace]:
    """What has been measured for the study in ``folder``; nothing where the file cannot be read."""
    try:
        table = read_table(folder / CALIBRATION)
        return {key: Pace(**{**each, "trained": tuple(each["trained"])}) for key, each in table.items()}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def calibrate(costs: Sequence[RunCost], folder: Path, threads: int, say: Callable[[str], None]) -> dict[str, Pace]:
    """Measure what is not known yet, in a few seconds each and ``BUDGET`` in all, and keep it in ``folder``.

    What was not measured has the pace of a run of the same program, such as another game, or none.
    """
    found = known_paces(folder)
    distinct = {workload(each, threads): each for each in costs if each.left}
    missing = [(key, each) for key, each in _programs_first(distinct) if key not in found and not _is_heavy(each)]
    start = _start_seconds() if missing else 0.0
    if missing:
        torch.set_num_threads(threads)
    began = time.perf_counter()
    for number, (key, each) in enumerate(missing, 1):
        if time.perf_counter() - began > BUDGET:
            say(f"{len(missing) - number + 1} more were not measured: the same command measures the next of them")
            break
        say(f"measuring {each.run.name} ({number} of {len(missing)})")
        found[key] = _measured(each, start)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CALIBRATION, json.dumps({name: asdict(pace) for name, pace in found.items()}, indent=1))
    alike = {distinct[key].update.program: pace for key, pace in found.items() if key in distinct}
    others = {key: alike[each.update.program] for key, each in distinct.items() if each.update.program in alike}
    return others | found


def _programs_first(distinct: Mapping[str, RunCost]) -> list[tuple[str, RunCost]]:
    """The first run of each program, then the others, such as other games."""
    first = {each.update.program: key for key, each in reversed([*distinct.items()])}
    return sorted(distinct.items(), key=lambda item: item[0] != first[item[1].update.program])


def _is_heavy(cost: RunCost) -> bool:
    """Whether a lap of it would take seconds: its time is guessed from its arithmetic."""
    return guessed_seconds(cost.run.blueprint) > HEAVY * max(cost.interactions, 1)


def _start_seconds() -> float:
    """Of a process that imports what training needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import composer.training.launch, composer.training.assemble"], check=False)
    return time.perf_counter() - began


def _measured(cost: RunCost, start: float) -> Pace:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run, session = assemble.start(_shortened(cost), Path(folder), None)
        start += time.perf_counter() - began
        try:
            return _timed(session, start, cost.run.blueprint.environment.info.episode_interactions)
        finally:
            with suppress(ComposerError):
                session.close()
            run.close()


def _shortened(cost: RunCost) -> Blueprint:
    """The blueprint of a run with a short warm-up, tracked nowhere, compiled only if that costs nothing any more."""
    file, *overrides = cost.run.arguments
    more = ["tracking={ kind = 'none' }"]
    if cost.update.compiles and not cost.update.is_cached:
        more.append("compute.compile=never")
    table: Mapping[str, Any] = resolved(cost.run.blueprint)["algorithm"]
    if table.get("warmup_interactions", 0) > WARMUP:
        with suppress(BlueprintError):
            shorter = [*overrides, *more, f"algorithm.warmup_interactions={WARMUP}"]
            return load(*experiment(file, shorter), is_to_run=True).blueprint
    return load(*experiment(file, [*overrides, *more]), is_to_run=True).blueprint


def _timed(session: Session, start: float, episode: int) -> Pace:
    steps, used, since = _steps(session), time.process_time(), time.perf_counter()
    clock, began = session.clock, since
    while not session.is_finished and not clock.updates:
        next(steps)
    random = (time.perf_counter() - began) / max(clock.interactions, 1)
    if not session.is_finished:
        next(steps)  # Whatever happens at the first update alone.
    laps = [each for each in (_lap(session, steps) for _ in range(LAPS)) if each is not None] or [random]
    evaluation = _evaluated(session, episode)
    got = min((time.process_time() - used) / (time.perf_counter() - since), 1.0)
    return Pace(start, min(random, median(laps)), (min(laps), median(laps), max(laps)), evaluation, got)


class _BrokenOff(Exception):
    """An evaluation has taken long enough."""


def _evaluated(session: Session, episode: int) -> float:
    """Seconds of an evaluation; one that is broken off would go on to the last of ``episode`` decisions."""
    began, decisions = time.perf_counter(), 0

    def watch(environments: object) -> None:
        nonlocal decisions
        if decisions and time.perf_counter() - began > EVALUATION_SECONDS:
            raise _BrokenOff
        decisions += 1

    try:
        session.evaluator.returns(session.learner, 0, watch)
    except _BrokenOff:
        return (time.perf_counter() - began) * max(episode, decisions) / decisions
    return time.perf_counter() - began


def _lap(session: Session, steps: Iterator[None]) -> float | None:
    """Seconds of an interaction, over whole rollouts; None of a run that is finished."""
    clock, first, began = session.clock, session.clock.interactions, time.perf_counter()
    while not session.is_finished:
        next(steps)
        passed, count = time.perf_counter() - began, clock.interactions - first
        if passed >= LAP_SECONDS and count % clock.rollout == 0:
            return passed / count
    count = clock.interactions - first
    return (time.perf_counter() - began) / count if count else None


def _steps(session: Session) -> Iterator[None]:
    """An interaction with its updates at each step."""
    for batches in training_steps(session):
        if batches:
            session.learn(batches)
        else:
            yield
