"""What ``composer sweep`` does: a blueprint and its variants, trained by processes, a few at a time.

What has been finished in the runs directory under the same settings is not run again, so that a sweep that was stopped
goes on where it was. One failure does not stop the others. Tests: tests/studies/test_sweep.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.blueprint import Blueprint, BlueprintError, digest, load
from composer.blueprint.forecast.memory import available_bytes, forecast
from composer.blueprint.forecast.one_program import joined, obstacle, parties
from composer.spec.wording import suggestion
from composer.studies import Refused
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import RunUnusable, read_blueprint, read_facts

BASE = "base"
"""Names the blueprint without a variant."""


class NoVariant(Refused):
    """A variant is asked for that the blueprint does not have."""


@dataclass(frozen=True)
class Member:
    """One run of a sweep."""

    name: str
    variant: str | None
    blueprint: Blueprint

    @property
    def digest(self) -> str:
        """What is trained, whatever it is called."""
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
    """Train what is not finished yet; returns the table of runs by variant. Raises BlueprintError and NoVariant.

    Up to ``together`` variants share a process and a program where they differ in numbers only.
    """
    members = list(members_of(blueprint, overrides, variants))
    done = {member.name: found for member in members if (found := finished(runs, member))}
    for name, run in done.items():
        say(f"{name}: finished before, in {run}")
    running = _Processes(say)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {member.name: member for member in members if member.name not in done}
        shared = parties({name: member.blueprint for name, member in waiting.items()}, together)
        try:
            ends = list(pool.map(lambda p: running.train([waiting[n] for n in p], blueprint, overrides, runs), shared))
        except BaseException:
            running.stop()
            raise
    rows = [{"variant": name, "run": str(run), "status": "finished", "exit_code": 0} for name, run in done.items()]
    rows += [row for party in ends for row in party]
    order = [member.name for member in members]
    rows.sort(key=lambda row: order.index(str(row["variant"])))
    return {"runs": rows, "failed": sum(bool(row["exit_code"]) for row in rows)}


def text(table: dict[str, Any]) -> str:
    """A line a run, and the command that compares them."""
    width = max(len(row["variant"]) for row in table["runs"])
    lines = [f"{row['variant']:{width}}  {row['status']:11}  {row['run'] or row['message']}" for row in table["runs"]]
    sound = [row["run"] for row in table["runs"] if row["run"] and not row["exit_code"]]
    if len(sound) > 1:
        lines.append(f"compare them: composer compare {' '.join(sound)}")
    if table["failed"]:
        lines.append(f"{table['failed']} failed; the same command again runs those alone")
    return "\n".join(lines)


def company(blueprint: Path, overrides: Sequence[str], variants: Sequence[str]) -> dict[str | None, Blueprint]:
    """Variants, by name, that can be trained in one program; Refused where one cannot, or memory is short."""
    members = list(members_of(blueprint, overrides, variants))
    if len(members) < 2 or len({member.name for member in members}) < len(members):
        raise Refused("what is trained together are two variants or more, each once")
    for member in members[1:]:
        if why := obstacle(members[0].blueprint, member.blueprint):
            raise Refused(f"{members[0].name!r} and {member.name!r} cannot be trained in one program: {why}")
    needs, available = forecast(joined([member.blueprint for member in members])).total, available_bytes()
    if needs > available:
        raise Refused(f"{len(members)} variants together need {needs:.1e} bytes; available {available:.1e}")
    return {member.variant: member.blueprint for member in members}


def finished(runs: Path, member: Member) -> Path | None:
    """The newest finished run of the same settings and variant under ``runs``, if there is one; a fork is none."""
    for path in sorted(runs.glob("*/run.json"), reverse=True):
        try:
            facts, blueprint = read_facts(path.parent), read_blueprint(path.parent)
        except (RunUnusable, BlueprintError):
            continue
        same = "fork" not in facts and facts["variant"] == member.variant and digest(blueprint) == member.digest
        # The last checkpoint follows the last step; who watched the run does not matter.
        steps = Checkpoints(path.parent).steps()
        if same and steps and steps[-1] >= blueprint.training.env_steps:
            return path.parent
    return None


def members_of(blueprint: Path, overrides: Sequence[str], variants: Sequence[str]) -> Iterator[Member]:
    """The blueprint and its variants, or those that are named. Raises BlueprintError and NoVariant."""
    loaded = load(blueprint, overrides)
    known = (BASE, *loaded.variants)
    for name in variants:
        if name not in known:
            raise NoVariant(f"{blueprint} has no variant {name!r}{suggestion(name, known)}")
    for name in variants or known:
        variant = None if name == BASE else name
        found = loaded if variant is None else load(blueprint, overrides, variant)
        yield Member(name, variant, found.blueprint)


class _Processes:
    """The commands that run now."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._lock = say, threading.Lock()
        self._alive: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def train(
        self, party: Sequence[Member], blueprint: Path, overrides: Sequence[str], runs: Path
    ) -> list[dict[str, Any]]:
        """Run one command to its end; a row for each of those that it trains."""
        command = [sys.executable, "-c", "from composer.cli import main; main()", "train", str(blueprint), *overrides]
        command += ["--runs", str(runs), "--json"]
        names = ",".join(member.name for member in party)
        if len(party) > 1:
            command += ["--together", names]
        elif party[0].variant:
            command += ["--variant", party[0].variant]
        with self._lock:
            if self._stopped:
                told = {"status": "not started", "message": "the sweep was stopped"}
                return [_row(member, told, 130) for member in party]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self._alive.add(process)
        self._say(f"{names}: training")
        out, errors = process.communicate()
        self._alive.discard(process)
        ended = process.wait()
        lines = out.strip().splitlines()
        nothing = {"status": "failed", "message": errors.strip()[-2_000:]}
        answer: dict[str, Any] = json.loads(lines[-1]) if lines else nothing
        answers: list[dict[str, Any]] = answer.get("runs") or [answer] * len(party)
        codes: list[int] = [each.get("exit_code", ended) for each in answers]
        for member, each, code in zip(party, answers, codes, strict=True):
            self._say(f"{member.name}: {each['status']} (exit code {code})")
        return [_row(member, each, code) for member, each, code in zip(party, answers, codes, strict=True)]

    def stop(self) -> None:
        """Interrupt all: each saves a checkpoint, and is trained anew by the next sweep."""
        with self._lock:
            self._stopped = True
            for process in self._alive:
                process.terminate()


def _row(member: Member, answer: dict[str, Any], code: int) -> dict[str, Any]:
    said: dict[str, Any] = {key: answer[key] for key in ("final_return", "seconds", "message") if key in answer}
    return {"variant": member.name, "run": answer.get("run"), "status": answer["status"], "exit_code": code, **said}
