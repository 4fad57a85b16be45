"""What a job of Slurm runs: one work, which saves itself when its time is up.

submitit pickles the object ``SlurmJob`` and calls it on the node. On the signal before the time limit, or on
preemption, it calls ``checkpoint`` and queues the job again under its number.
Tests: tests/studies/execution/test_slurm.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from composer.studies.execution import worker
from composer.studies.execution.work import Work


class SlurmJob:
    """Performs a work, and ends it early on SIGTERM or where ``STOPS/NUMBER`` exists."""

    def __init__(self) -> None:
        self._process: int | None = None
        self._is_stopped = False

    def __call__(self, work: Work, stops: Path) -> dict[str, Any]:
        """Train; returns the answer, which ``worker.perform`` has written too."""
        signal.signal(signal.SIGTERM, self._stop)
        # A stop that came before the signal was taken.
        self._is_stopped = self._is_stopped or (stops / job_number()).exists()
        if self._is_stopped:
            return {"status": "not started", "exit_code": 143}
        return worker.perform(work, self._started)

    def checkpoint(self, work: Work, stops: Path) -> Any:
        """Have the run save itself, wait for it, and return the job that goes on with it."""
        from submitit.core.utils import DelayedSubmission

        self._stop(signal.SIGTERM)
        if self._process is not None:
            with suppress(ChildProcessError):  # The interrupted call of ``perform`` reaps it.
                os.waitid(os.P_PID, self._process, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(SlurmJob(), work, stops)

    def _started(self, process: subprocess.Popen[str]) -> None:
        self._process = process.pid
        if self._is_stopped:
            process.terminate()

    def _stop(self, number: int, frame: FrameType | None = None) -> None:
        self._is_stopped = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGTERM)


def job_number() -> str:
    """The number of the job in which this process runs, as submitit names it."""
    from submitit import JobEnvironment

    return str(JobEnvironment().job_id)
