"""What every launcher calls: bring the runs of one work to their end, in a process of ``composer``, and answer.

It looks into the run directories itself, under a lock for each run: called twice, it trains once. What was finished is
answered, what was begun is resumed.
Tests: tests/studies/execution/test_engine.py, tests/studies/test_sweep_continues.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from composer.spec.errors import ComposerError
from composer.spec.processors import THREADS
from composer.spec.run_files import open_to_write
from composer.studies.execution.directories import Found, RunDirectories, chosen, last_event
from composer.studies.execution.work import Member, Work, write_answer
from composer.training.runs.edited import BLUEPRINT

PROGRAM = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.getppid() == int(sys.argv.pop(1)) or sys.exit(143); "
    "from composer.cli import main; main()"
)
"""A command of composer that is sent SIGTERM, on which a run saves itself, when the process of the first argument dies.
(``1`` is ``PR_SET_PDEATHSIG``.)"""
NOT_RESUMABLE = (2, 3, 4)
"""Exit codes of a resume that cannot go on: other circumstances, an unusable directory, no good checkpoint."""
INTERRUPTED = (129, 130, 143)
"""Exit codes of a process that was asked to end; one that had not begun to train says nothing more."""
ELSEWHERE, REFUSED = "elsewhere", "refused"
"""Statuses of an answer: another process trains a run of the work; its run directory cannot be resumed."""
LONGEST_MESSAGE = 2_000

Started = Callable[[subprocess.Popen[str]], None]


def perform(work: Work, started: Started = lambda process: None) -> dict[str, Any]:
    """Train, resume or find the runs of ``work``; returns its answer, which is also written to ``work.answer``.

    The answer is that of ``composer train --json``, with ``exit_code``, and the state's ``digest`` of finished runs; or
    its ``status`` is ELSEWHERE, or REFUSED with the ``run``. ``started`` is called with the process.
    """
    try:
        with _claimed(work) as claims:
            answer = _elsewhere("") if claims is None else _trained(work, claims, started)
    except (ComposerError, OSError) as error:
        answer = {"status": "failed", "message": str(error), "exit_code": getattr(error, "exit_code", 7)}
    write_answer(work.answer, answer)
    return answer


@contextmanager
def _claimed(work: Work) -> Iterator[tuple[int, ...] | None]:
    """Hold the lock of every run of a work; None where another process holds one.

    The process that trains inherits the locks: while it lives, no other can begin.
    """
    work.claims.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        locks = []
        for key in sorted(member.key for member in work.members):
            locks.append(open_to_write(work.claims / key))
            stack.callback(os.close, locks[-1])
            try:
                fcntl.flock(locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
        yield tuple(locks)


def _trained(work: Work, claims: Sequence[int], started: Started) -> dict[str, Any]:
    directories = RunDirectories(work.runs_dir)
    directories.refresh()
    found = [chosen(directories.find(each.key, each.env_steps, work.versions, work.avoided)) for each in work.members]
    if len(work.members) > 1 and any(found):
        return _elsewhere("")
    before = found[0]
    if before is None:
        command = ["train", *work.arguments, "--runs", str(work.runs_dir)]
        return _with_digests(_answer(command, work, work.environment, claims, started))
    if before.state == "held":
        return _elsewhere(str(before.path))
    # A finished run without a digest has a damaged checkpoint, which a resume makes anew.
    if before.state != "begun" and ((ended := as_found(before))["exit_code"] or ended["digest"]):
        return ended
    environment = {**work.environment, **_threads(before)}
    answer = _of(before.path, _answer(["resume", str(before.path)], work, environment, claims, started))
    if answer["exit_code"] in NOT_RESUMABLE:
        return {**answer, "status": REFUSED, "run": str(before.path)}
    return _with_digests({"run": str(before.path), **answer})


def _of(run: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of one run, where those that share its program were resumed with it."""
    return next((each for each in answer.get("runs", ()) if each["run"] == str(run)), answer)


def as_found(found: Found) -> dict[str, Any]:
    """The answer of a run that had ended before."""
    if found.state == "finished":
        return _with_digests({"run": str(found.path), "status": "finished", "exit_code": 0})
    return {"run": str(found.path), "status": "failed", "exit_code": 5, "message": last_event(found.path)["reason"]}


def _elsewhere(run: str) -> dict[str, Any]:
    return {"status": ELSEWHERE, "exit_code": 3, "run": run or None}


def _threads(found: Found) -> dict[str, str]:
    """The number of threads with which a run began, where its blueprint leaves that open: it resumes exactly."""
    declared = found.facts.get(BLUEPRINT, {}).get("compute", {}).get("threads", 0)
    return {THREADS: str(found.facts["fingerprint"]["threads"])} if declared in (0, "auto") else {}


def _with_digests(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with the digest of the final state of each run that is finished."""
    for row in answer.get("runs") or [answer]:
        if row["status"] == "finished" and Path(row.get("run") or "").is_dir():
            row["digest"] = final_digest(Path(row["run"]))
    return answer


def final_digest(path: Path) -> str | None:
    """The hash of a finished run's final state, as ``composer digest`` prints it; None where it cannot be read."""
    from composer.training import launch

    try:
        table = launch.digest(path)
    except ComposerError:
        return None
    return None if table["damaged"] else str(table["digest"])


def _answer(
    arguments: Sequence[str], work: Work, environment: Mapping[str, str], claims: Sequence[int], started: Started
) -> dict[str, Any]:
    """Run a command of composer and return the object that it printed last, with its exit code."""
    command = [sys.executable, "-c", PROGRAM, str(os.getpid()), *arguments, "--json"]
    work.log.parent.mkdir(parents=True, exist_ok=True)
    with work.log.open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **environment},
            pass_fds=claims,
            start_new_session=True,  # Ctrl-C reaches the driver alone, which has runs save themselves.
        )
    try:
        started(process)
        out, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return _read(out, process.returncode, work.log)


def _read(out: str, returned: int, log: Path) -> dict[str, Any]:
    code = 128 - returned if returned < 0 else returned
    answer = _last_object(out)
    if answer is not None:
        return {"exit_code": code, **answer}
    how = f"exit code {code}" if returned >= 0 else signal.Signals(-returned).name
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-LONGEST_MESSAGE:]
    message = f"the process ended without a word ({how})\n{said}".strip()
    return {"status": "failed", "message": message, "exit_code": code or 1}


def _last_object(output: str) -> dict[str, Any] | None:
    """The last line of a command's output that is its answer; None where a process died before it could give one."""
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and ("runs" in found or "status" in found):
            return found
    return None


def lost(job: str) -> dict[str, Any]:
    """What stands for the answer of a job that is gone without one."""
    return {"status": "lost", "exit_code": 1, "message": f"job {job} ended without an answer", "run": None}


def rows(work: Work, answer: Mapping[str, Any]) -> Iterator[tuple[Member, dict[str, Any]]]:
    """The answer of each run of a work."""
    each: Sequence[dict[str, Any]] = answer.get("runs") or [dict(answer)] * len(work.members)
    for member, row in zip(work.members, each, strict=True):
        yield member, {"exit_code": answer["exit_code"], **row}
