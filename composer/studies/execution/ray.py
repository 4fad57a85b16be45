"""Works in actors of a Ray cluster, whose nodes may die: a work that is lost is started again, and its run resumed.

One actor performs one work and ends. All nodes see the run directories under the same path. Ray asks nobody who they
are: a cluster that composer starts listens on the loopback address alone, and has no dashboard.
Tests: tests/studies/execution/test_ray.py.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from composer.studies import Refused
from composer.studies.execution import worker
from composer.studies.execution.work import JobState, Work

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # A work that needs no GPU keeps those that its machine shows, as a process of this machine does.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Set for Ray, unless the user has set them: it reports to nobody."""

LOCAL, LOOPBACK = "local", "127.0.0.1"
CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""With 0, which Ray reads when it is imported, all of its servers listen on loopback alone, on every system."""


class Performer:
    """What Ray makes an actor of: performs one work, in a folder that all nodes see."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        self._lock, self._is_stopped = threading.Lock(), False
        self._process: subprocess.Popen[str] | None = None

    def perform(self, work: Work) -> None:
        """Train; the answer is in the work's file."""
        if not self._is_stopped:
            worker.perform(work, self._started)

    def stop(self) -> None:
        """Have the run save itself."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.terminate()

    def _started(self, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._process = process
            if self._is_stopped:
                process.terminate()


class _Job(NamedTuple):
    actor: Any
    begun: Any
    """Is there once a node has room for the actor."""
    done: Any
    """Is there once the work has ended, in whatever way."""


class RayLauncher:
    """Starts works on a cluster to which this process is connected."""

    name = "ray"

    def __init__(self, ray: Any, threads: int, gpus: float = 0.0, slots: int = 10_000) -> None:
        """``ray`` is the package; a work takes ``threads`` processors and ``gpus``, perhaps a part of one."""
        self.slots, self._ray = slots, ray
        # Two methods at a time: one works, the other stops it.
        actor = ray.remote(Performer)
        self._performer = actor.options(num_cpus=threads, num_gpus=gpus, max_concurrency=2, max_restarts=0)
        self._jobs: dict[str, _Job] = {}

    def start(self, works: Sequence[Work]) -> list[str]:
        """Queue works; jobs die with this process, and their numbers mean nothing to the next."""
        self._let_go()
        jobs = []
        for work in works:
            actor = self._performer.remote(str(Path.cwd()))
            job = str(actor._actor_id.hex())
            self._jobs[job] = _Job(actor, actor.__ray_ready__.remote(), actor.perform.remote(work))
            jobs.append(job)
        return jobs

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Those that have not ended; of a lost node, they have."""
        states: dict[str, JobState] = {}
        for job in jobs:
            if (known := self._jobs.get(job)) is not None and not self._has(known.done):
                states[job] = "running" if self._has(known.begun) else "waiting"
        return states

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or when a job has ended."""
        self._let_go()
        pending = [job.done for job in self._jobs.values()]
        if pending:
            self._ray.wait(pending, timeout=seconds)
        else:
            threading.Event().wait(seconds)

    def stop(self, jobs: Sequence[str]) -> None:
        """Have runs save themselves; an actor that has not begun is removed."""
        for job in jobs:
            if (known := self._jobs.get(job)) is None:
                continue
            if self._has(known.begun):
                known.actor.stop.remote()
            else:
                self._end(job)

    def _let_go(self) -> None:
        """Remove the actors of works that have ended: each holds its processors until then."""
        for job in [job for job, known in self._jobs.items() if self._has(known.done)]:
            self._end(job)

    def _end(self, job: str) -> None:
        with suppress(ValueError, self._ray.exceptions.RayError):
            self._ray.kill(self._jobs.pop(job).actor)

    def _has(self, reference: Any) -> bool:
        return bool(self._ray.wait([reference], timeout=0)[0])


@contextmanager
def ray_cluster(address: str, threads: int, gpus: float, slots: int) -> Iterator[RayLauncher]:
    """A launcher on the cluster at ``address``: ``auto`` is the one of this machine, ``local`` a new one for it alone.

    Refused where Ray is absent or no cluster answers.
    """
    ray = _package(is_local := address == LOCAL)
    own = {"include_dashboard": False, "_node_ip_address": LOOPBACK} if is_local else {}
    with warnings.catch_warnings():
        # Ray announces what it will change in later versions.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            hint = f"; --ray {LOCAL} starts one of this machine only" if address == "auto" else ""
            raise Refused(f"no Ray cluster at {address!r}: {str(error).strip().splitlines()[0]}{hint}") from None
    try:
        yield RayLauncher(ray, threads, gpus, slots)
    finally:
        ray.shutdown()


def _package(is_local: bool) -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if is_local:
        os.environ[CLUSTER] = "0"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Of Ray's own modules.
            import ray
    except ImportError:
        raise Refused('--ray needs Ray: install "rl-composer[ray]"') from None
    return ray
