"""Works as jobs of Slurm, by submitit, or by submitit's local executor, which needs no cluster.

A job outlives the driver: the next driver finds it by its number in the ledger. Slurm is asked with ``squeue``, which
every cluster has; what a work has achieved is in its answer and its run directory, which all nodes must see.
Tests: tests/studies/execution/test_slurm.py.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import time as clock
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from composer.spec.family import Spec
from composer.studies import Refused
from composer.studies.execution.slurm_job import SlurmJob
from composer.studies.execution.work import JobState, Work

ASK_SECONDS = 10.0
"""Slurm is asked this often at most."""
SIGNAL_SECONDS = 120
"""So long before its time is up a job is told to save itself."""
TIMEOUTS = 10_000
"""A job whose time is up is queued again this often."""
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
_ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"),
)
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d\d)(?::(?P<seconds>\d\d))?")


def _minutes(value: object) -> object:
    """``HH:MM``, ``HH:MM:SS`` or ``D-HH:MM:SS`` in minutes."""
    # Without quotes, 12:00:00 is a time of TOML.
    match = _TIME.fullmatch(str(value)) if isinstance(value, str | clock) else None
    if match is None:
        return value
    days, hours, minutes = (int(match[name] or 0) for name in ("days", "hours", "minutes"))
    return (days * 24 + hours) * 60 + minutes


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._,:&|()*\[\]-]{0,127}$")]


class SlurmTable(Spec):
    """The table ``[slurm]`` of a study, and the option ``--slurm KEY=VALUE,...``: what a job asks of Slurm."""

    partition: Word | None = None
    """Partition, or several with commas between them."""
    account: Word | None = None
    """Account that is charged."""
    qos: Word | None = None
    """Quality of service."""
    constraint: Word | None = None
    """Features that a node must have."""
    time: Annotated[Annotated[int, Field(ge=5, le=10**6)], BeforeValidator(_minutes)] = 24 * 60
    """Time limit of a job in minutes, or as ``HH:MM:SS``. A run that is not done then saves itself and queues again."""
    cpus_per_task: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """Processors of a job; by default as many as the run has threads."""
    gpus_per_task: Annotated[int, Field(ge=0, le=16)] = 0
    """GPUs of a job."""
    mem_gb: Annotated[int, Field(ge=1, le=10**5)] | None = None
    """Memory of a job in GB; by default that of the partition."""


Executor = Literal["slurm", "local"]


class SlurmLauncher:
    """Submits works; ``executor`` is ``slurm``, or ``local`` for processes of this machine."""

    def __init__(
        self, folder: Path, table: SlurmTable, executor: Executor = "slurm", threads: int = 1, slots: int = 10_000
    ) -> None:
        """Scripts, pickles and logs go to ``folder``. ``threads`` is how many processors a job needs by default.

        Raises Refused where submitit or Slurm is absent.
        """
        self.name = "slurm" if executor == "slurm" else "slurm-local"
        self.slots, self._folder, self._is_local = slots, folder.absolute(), executor == "local"
        self._stops = self._folder / "stopped"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._known: dict[str, JobState] = {}
        self._seen: set[str] = set()
        self._asked = -float("inf")
        self._executor = _executor(self._folder, table, executor, threads, slots)

    def start(self, works: Sequence[Work]) -> list[str]:
        """Submit works, several as one array; the numbers of their jobs. Raises Refused with Slurm's own words."""
        self._stops.mkdir(parents=True, exist_ok=True)
        try:
            jobs = self._executor.map_array(SlurmJob(), works, [self._stops] * len(works))
        except Exception as error:
            if type(error).__module__.startswith("submitit."):
                raise Refused(f"Slurm takes no job: {str(error).strip()}") from None
            raise
        numbers = [str(job.job_id) for job in jobs]
        if self._is_local:
            self._processes |= {number: job._process for number, job in zip(numbers, jobs, strict=True)}
        self._known |= dict.fromkeys(numbers, "waiting")
        self._seen |= {*numbers}
        return numbers

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Those that wait or run, of earlier drivers too; where Slurm does not answer, as it was before."""
        if self._is_local:
            return {job: "running" for job in jobs if self._is_alive(job)}
        if (new := {*jobs} - self._seen) or time.monotonic() - self._asked > ASK_SECONDS:
            self._seen |= new
            self._ask(new)
        return {job: self._known[job] for job in jobs if job in self._known}

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``: nothing tells when a job has ended."""
        time.sleep(seconds)

    def stop(self, jobs: Sequence[str]) -> None:
        """Cancel jobs. One that trains gets SIGTERM; one that begins finds that it is stopped."""
        for job in jobs:
            (self._stops / job).touch()
        if not self._is_local:
            subprocess.run(["scancel", *jobs], check=False, capture_output=True)
            return
        for job in filter(self._is_alive, jobs):
            with suppress(ProcessLookupError):
                os.kill(int(job), signal.SIGTERM)

    def _ask(self, new: set[str]) -> None:
        command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            # Nobody knows: a job that another driver submitted counts as there, rather than to be submitted twice.
            self._known |= dict.fromkeys(new, "waiting")
            return
        self._asked = time.monotonic()
        found = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split()) == 2)
        self._known = {
            job: "waiting" if state.strip() in _WAITING else "running"
            for job, state in found.items()
            if state.strip() not in _ENDED
        }

    def _is_alive(self, job: str) -> bool:
        if (process := self._processes.get(job)) is not None:
            return process.poll() is None
        with suppress(OSError):
            command = Path("/proc", job, "cmdline").read_bytes().split(b"\0")
            return b"submitit.local._local" in command and os.fsencode(self._folder) in command
        return False


def _executor(folder: Path, table: SlurmTable, executor: Executor, threads: int, slots: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Of submitit's own modules.
            import submitit
    except ImportError:
        raise Refused('Slurm needs submitit: install "rl-composer[slurm]"') from None
    logging.getLogger("submitit").setLevel(logging.ERROR)
    if executor == "local":
        local = submitit.LocalExecutor(folder, max_num_timeout=TIMEOUTS)
        times = {"timeout_min": table.time, "signal_delay_s": SIGNAL_SECONDS}
        local.update_parameters(**times, gpus_per_node=table.gpus_per_task)
        return local
    if missing := [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]:
        raise Refused(f"there is no Slurm here: no {missing[0]} on the path; --slurm local trains on this machine")
    found = submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
    asked = table.model_dump(exclude_none=True, exclude={"cpus_per_task", "gpus_per_task", "mem_gb"})
    if table.gpus_per_task:
        asked["gpus_per_task"] = table.gpus_per_task
    if table.mem_gb:
        asked["mem"] = f"{table.mem_gb}GB"
    found.update_parameters(
        **asked,
        job_name="composer",
        cpus_per_task=table.cpus_per_task or threads,
        array_parallelism=slots,
        signal_delay_s=SIGNAL_SECONDS,
        additional_parameters={"requeue": True},
    )
    return found
