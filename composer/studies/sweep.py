"""``composer sweep``: train a blueprint and its variants in processes, a few at a time.

Runs that the runs directory already has finished, under the same settings, are not repeated: a sweep that was stopped
continues. A failure does not stop the other runs. Tests: tests/studies/test_sweep.py.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint, BlueprintError, Problem, digest, load
from composer.blueprint.forecast.memory import available_bytes, forecast
from composer.blueprint.forecast.one_program import joined, obstacle, program_groups
from composer.blueprint.syntax.variants import BASE
from composer.spec.errors import ComposerError
from composer.studies import Refused
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import read_blueprint, read_facts


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep."""

    name: str
    variant: str | None
    blueprint: Blueprint

    @property
    def digest(self) -> str:
        """The digest of the settings, which leaves names out."""
        return digest(self.blueprint)


def sweep(
    blueprint: Path,
    overrides: Sequence[str],
    variants: Sequence[str],
    runs: Path,
    jobs: int,
    say: Callable[[str], None],
    together: int = 1,
) -> dict[str, Any]:
    """Train what is not finished yet; returns one row per variant. Raises BlueprintError and Refused.

    Up to ``together`` variants share a process and a program, where they differ in numbers only.
    """
    planned = planned_runs(blueprint, overrides, variants)
    done = {each.name: found for each in planned if (found := finished(runs, each))}
    for name, run in done.items():
        say(f"{name}: finished before, in {run}")
    running = _Processes(say)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {each.name: each for each in planned if each.name not in done}
        groups = program_groups({name: each.blueprint for name, each in waiting.items()}, together)
        try:
            ends = list(pool.map(lambda g: running.train([waiting[n] for n in g], blueprint, overrides, runs), groups))
        except BaseException:
            running.stop()
            raise
    rows = [{"variant": name, "run": str(run), "status": "finished", "exit_code": 0} for name, run in done.items()]
    rows += [row for group in ends for row in group]
    order = [each.name for each in planned]
    rows.sort(key=lambda row: order.index(str(row["variant"])))
    return {"runs": rows, "failed": sum(bool(row["exit_code"]) for row in rows)}


def text(table: dict[str, Any]) -> str:
    """A line per run, and the command that compares them."""
    width = max(len(row["variant"]) for row in table["runs"])
    lines = [f"{row['variant']:{width}}  {row['status']:11}  {row['run'] or row['message']}" for row in table["runs"]]
    sound = [row["run"] for row in table["runs"] if row["run"] and not row["exit_code"]]
    if len(sound) > 1:
        lines.append(f"compare them: composer compare {shlex.join(sound)}")
    if table["failed"]:
        lines.append(f"{table['failed']} failed; the same command again runs only those")
    return "\n".join(lines)


def for_one_program(blueprint: Path, overrides: Sequence[str], variants: Sequence[str]) -> dict[str | None, Blueprint]:
    """Blueprints of the variants, which are trained in one program. Refused where one cannot, or memory is short."""
    planned = planned_runs(blueprint, overrides, variants)
    if len(planned) < 2 or len({each.name for each in planned}) < len(planned):
        raise Refused("--together takes two or more variants, each once")
    for other in planned[1:]:
        if why := obstacle(planned[0].blueprint, other.blueprint):
            raise Refused(f"{planned[0].name!r} and {other.name!r} cannot be trained in one program: {why}")
    needs, available = forecast(joined([each.blueprint for each in planned])).total, available_bytes()
    if needs > available:
        raise Refused(f"{len(planned)} variants together need {needs:.1e} bytes; available {available:.1e}")
    return {each.variant: each.blueprint for each in planned}


def finished(runs: Path, planned: SweepRun) -> Path | None:
    """The newest finished run of the same settings and variant in ``runs``, if there is one; forks do not count."""
    for path in sorted(runs.glob("*/run.json"), reverse=True):
        try:
            facts, blueprint = read_facts(path.parent), read_blueprint(path.parent)
        except ComposerError:
            continue
        same = "fork" not in facts and facts["variant"] == planned.variant and digest(blueprint) == planned.digest
        # A finished run saves a checkpoint after its last step.
        steps = Checkpoints(path.parent).steps()
        if same and steps and steps[-1] >= blueprint.training.env_steps:
            return path.parent
    return None


def planned_runs(
    blueprint: Path, overrides: Sequence[str], variants: Sequence[str], *, is_to_run: bool = True
) -> list[SweepRun]:
    """The blueprint and its variants, or only the named combinations. Raises BlueprintError for all that are wrong.

    Only with ``is_to_run`` is the module of an environment imported.
    """
    planned: list[SweepRun] = []
    problems: list[Problem] = []
    for name in variants or (BASE, *load(blueprint, overrides, is_to_run=is_to_run).variants):
        variant = None if name == BASE else name
        try:
            found = load(blueprint, overrides, variant, is_to_run=is_to_run).blueprint
            planned.append(SweepRun(name, variant, found))
        except BlueprintError as error:
            problems += error.problems
    if problems:
        raise BlueprintError(problems)
    return planned


class _Processes:
    """The training processes that are running."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._lock = say, threading.Lock()
        self._alive: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def train(
        self, group: Sequence[SweepRun], blueprint: Path, overrides: Sequence[str], runs: Path
    ) -> list[dict[str, Any]]:
        """Run one training command to its end; a row for each run that it trains."""
        command = [sys.executable, "-c", "from composer.cli import main; main()", "train", str(blueprint), *overrides]
        command += ["--runs", str(runs), "--json"]
        names = ",".join(each.name for each in group)
        if len(group) > 1:
            command += ["--together", names]
        elif group[0].variant:
            command += ["--variant", group[0].variant]
        with self._lock:
            if self._stopped:
                stopped = {"status": "not started", "message": "the sweep was stopped"}
                return [_row(each, stopped, 130) for each in group]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
            )
            self._alive.add(process)
        self._say(f"{names}: training")
        out, errors = process.communicate()
        self._alive.discard(process)
        ended = process.wait()
        lines = out.strip().splitlines()
        silent = {"status": "failed", "message": errors.strip()[-2_000:]}
        answer: dict[str, Any] = json.loads(lines[-1]) if lines else silent
        answers: list[dict[str, Any]] = answer.get("runs") or [answer] * len(group)
        rows = [_row(each, found, found.get("exit_code", ended)) for each, found in zip(group, answers, strict=True)]
        for row in rows:
            self._say(f"{row['variant']}: {row['status']} (exit code {row['exit_code']})")
        return rows

    def stop(self) -> None:
        """Interrupt all processes: each saves a checkpoint. The next sweep trains their runs from the beginning."""
        with self._lock:
            self._stopped = True
            for process in self._alive:
                process.terminate()


def _row(planned: SweepRun, answer: dict[str, Any], code: int) -> dict[str, Any]:
    more: dict[str, Any] = {key: answer[key] for key in ("final_return", "seconds", "message") if key in answer}
    return {"variant": planned.name, "run": answer.get("run"), "status": answer["status"], "exit_code": code, **more}
