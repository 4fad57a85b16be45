"""The training processes of a sweep, each of which ends when the sweep does. Tests: tests/studies/test_sweep.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from composer.spec.errors import ComposerError
from composer.training.runs.directory import holder

PROGRAM = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.getppid() == int(sys.argv.pop(1)) or sys.exit(143); "
    "from composer.cli import main; main()"
)
"""A command of composer that is sent SIGTERM, on which a run saves itself, when the process of the first argument dies.
(``1`` is ``PR_SET_PDEATHSIG``.)"""
NOT_RESUMABLE = (2, 3, 4)
"""Exit codes of a resume that cannot go on: other circumstances, an unusable directory, no good checkpoint."""
WAITING_SECONDS = 0.5
LONGEST_MESSAGE = 2_000


class SweepStopped(ComposerError):
    """A signal has stopped the sweep; its runs have saved themselves."""

    def __init__(self, number: int) -> None:
        """``number`` is that of the signal."""
        name = signal.Signals(number).name
        super().__init__(f"the sweep was stopped ({name}), its runs are saved: the same command again continues them")
        self.exit_code = 128 + number


@contextmanager
def raising_on_signals() -> Iterator[None]:
    """Raise SweepStopped on SIGINT, SIGTERM and SIGHUP, in the main thread; elsewhere nothing changes."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SweepStopped(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[int(number)] = signal.signal(number, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class Processes:
    """The training processes that are running."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._lock = say, threading.Lock()
        self._alive: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    def train(self, names: Sequence[str], command: Sequence[str], begun: Path | None) -> list[dict[str, Any]]:
        """Run one training ``command`` to its end, or resume the run ``begun``; a row for each run that it trains."""
        title, answer = ",".join(names), None
        if begun is not None:
            self._wait_for(title, begun)
            self._say(f"{title}: continuing {begun}")
            answer = self._answer(["resume", str(begun)])
            if answer["exit_code"] in NOT_RESUMABLE and not self._stopped.is_set():
                self._say(f"{title}: {answer['message']}; it is begun anew")
                answer = None
        if answer is None:
            self._say(f"{title}: training")
            answer = self._answer(command)
        found: list[dict[str, Any]] = answer.get("runs") or [answer] * len(names)
        rows = [_row(name, each, answer["exit_code"]) for name, each in zip(names, found, strict=True)]
        for row in rows:
            self._say(f"{row['variant']}: {row['status']} (exit code {row['exit_code']})")
        return rows

    def stop(self) -> None:
        """Interrupt all processes: each saves a checkpoint, from which the next sweep continues."""
        with self._lock:
            self._stopped.set()
            for process in self._alive:
                process.terminate()

    def _wait_for(self, title: str, run: Path) -> None:
        """Wait for the process that still trains a run: one of another sweep, or of one that was just killed."""
        process, is_alive = holder(run)
        if is_alive:
            self._say(f"{title}: waiting for process {process}, which trains {run}")
        while is_alive and not self._stopped.wait(WAITING_SECONDS):
            _, is_alive = holder(run)

    def _answer(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Run a command of composer and return the object that it printed last, with its exit code."""
        command = [sys.executable, "-c", PROGRAM, str(os.getpid()), *arguments, "--json"]
        with self._lock:
            if self._stopped.is_set():
                return {"status": "not started", "message": "the sweep was stopped", "exit_code": 130}
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
            )
            self._alive.add(process)
        out, errors = process.communicate()
        self._alive.discard(process)
        returned = process.returncode
        code = 128 - returned if returned < 0 else returned
        answer = _last_object(out)
        if answer is not None:
            return {"exit_code": code, **answer}
        how = f"exit code {code}" if returned >= 0 else signal.Signals(-returned).name
        message = f"the process ended without a word ({how})\n{errors.strip()[-LONGEST_MESSAGE:]}".strip()
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


def _row(name: str, answer: dict[str, Any], code: int) -> dict[str, Any]:
    more: dict[str, Any] = {key: answer[key] for key in ("final_return", "seconds", "message") if key in answer}
    code = answer.get("exit_code", code)
    return {"variant": name, "run": answer.get("run"), "status": answer["status"], "exit_code": code, **more}
