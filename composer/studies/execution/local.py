"""Works in processes of this machine, a few at a time. Tests: tests/studies/execution/test_engine.py."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from composer.studies.execution import worker
from composer.studies.execution.resources import GPUS, least_used, local_gpus
from composer.studies.execution.work import JobState, Work


class LocalLauncher:
    """Runs each work in a thread, which waits for its process. Runs save themselves when this process dies."""

    name = "local"

    def __init__(self, slots: int = 1) -> None:
        """At most ``slots`` works at a time, spread over the GPUs."""
        self.slots = slots
        self._gpus, self._used = local_gpus(), dict[str, str]()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._processes: dict[str, subprocess.Popen[str] | None] = {}
        """By job, until it ends; None before its process is there, and between two processes."""
        self._stopped: set[str] = set()
        self._count = 0

    def start(self, works: Sequence[Work]) -> list[str]:
        """Begin works at once; a job's number means nothing to other drivers."""
        jobs = []
        for work in works:
            self._count += 1
            job = f"{self._count}"
            with self._lock:
                self._processes[job] = None
                if len(self._gpus) > 1:
                    self._used[job] = least_used(self._gpus, [*self._used.values()])
                    work = replace(work, environment={**work.environment, GPUS: self._used[job]})
            threading.Thread(target=self._perform, args=(job, work), name=f"work {job}", daemon=True).start()
            jobs.append(job)
        return jobs

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Those that have not ended; jobs of earlier drivers have."""
        with self._lock:
            return {job: "running" for job in jobs if job in self._processes}

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or when a job has ended."""
        self._ended.wait(seconds)
        self._ended.clear()

    def stop(self, jobs: Sequence[str]) -> None:
        """Interrupt the processes of jobs: each saves a checkpoint and ends."""
        with self._lock:
            self._stopped |= {*jobs}
            for job in jobs:
                if (process := self._processes.get(job)) is not None:
                    process.terminate()

    def _perform(self, job: str, work: Work) -> None:
        def started(process: subprocess.Popen[str]) -> None:
            with self._lock:
                self._processes[job] = process
                if job in self._stopped:
                    process.terminate()

        try:
            worker.perform(work, started)
        finally:
            with self._lock:
                del self._processes[job]
                self._used.pop(job, None)
            self._ended.set()
