"""Threads that wait for each other spin, and sleep while other processes want their processors.

Products and kernels are split over threads that meet at barriers. libgomp, torch's OpenMP, lets a thread spin there for
milliseconds before it sleeps. That is fastest on processors of one's own, and a collapse beside a single busy process:
the scheduler counts spinning as use, and takes the processor away when there is work. libgomp spins for microseconds
only while it has more threads than processors. Here a second team of threads, which sleep, brings that about as long as
others compete for processors (docs/decisions/0040-waiting-threads.md). Neither the number of threads of a computation
nor any of its results depends on how they wait.
Tests: tests/training/test_waiting_threads.py.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

import torch

LIBRARY: Final = "libgomp.so.1"
CHOSEN_BY_USER: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Environment variables by which users say how threads wait."""
INTERVAL: Final = 0.03
"""Seconds over which contention is measured."""
LIMIT: Final = 0.4
"""Contention that counts as high. Beside one busy process it is 0.5 to 1, on processors of one's own below 0.2."""
IN_A_ROW: Final = 2
"""Measurements that must be high: what takes a processor for an instant leaves one."""
SHORTEST, LONGEST = 0.25, 4.0
"""Seconds of sleeping waits before contention is measured again, with threads that spin: twice as long each time."""
MOST: Final = 256
"""Largest team that is made for this purpose."""

ADAPTIVE: Final = "spinning; sleeping while other processes want their processors"

_TASKS: Final = Path("/proc/self/task")
_begun = threading.Lock()


def how_threads_wait() -> str:
    """How threads of this process wait for each other, for ``run.json``."""
    if named := [f"{name}={os.environ[name]}" for name in CHOSEN_BY_USER if name in os.environ]:
        return f"as set: {' '.join(named)}"
    if torch.get_num_threads() == 1:
        return "one thread, which never waits"
    if (library := _openmp()) is None:
        return f"as torch's OpenMP does, which is not {LIBRARY}"
    if seconds_kept_from_running() is None:
        return "as torch's OpenMP does: this kernel does not say how long threads are kept from running"
    if _team_size(library) > MOST:
        return "as torch's OpenMP does: this machine has too many processors"
    return ADAPTIVE


def watch_contention() -> None:
    """Let threads sleep at waits whenever other processes compete, from now to the end of this process."""
    library = _openmp()
    if library is not None and how_threads_wait() == ADAPTIVE and _begun.acquire(blocking=False):
        threading.Thread(
            target=alternate,
            args=(contention, lambda: sleeping_waits(library), time.sleep),
            name="composer-contention",
            daemon=True,
        ).start()


def alternate(
    measure: Callable[[], float], sleeping: Callable[[], AbstractContextManager[None]], wait: Callable[[float], object]
) -> None:
    """Measure contention again and again; where it is high, let threads sleep at waits for a while.

    It is measured while they spin: sleeping threads, woken on one processor, keep each other from running.
    """
    pause = SHORTEST
    while True:
        if any(measure() < LIMIT for _ in range(IN_A_ROW)):
            pause = SHORTEST
            continue
        with sleeping():
            wait(pause)
        pause = min(2 * pause, LONGEST)


def contention() -> float:
    """Seconds per second in which threads of this process were ready but not running, all together, for an INTERVAL."""
    began, before = time.monotonic(), seconds_kept_from_running()
    time.sleep(INTERVAL)
    after = seconds_kept_from_running()
    if before is None or after is None:
        return 0.0
    return (after - before) / (time.monotonic() - began)


def seconds_kept_from_running() -> float | None:
    """Seconds that the threads of this process were ready but not running; None where the kernel does not say."""
    found = []
    for task in os.listdir(_TASKS):
        with suppress(OSError, IndexError):  # A thread has ended; or there is no such file.
            found.append(int((_TASKS / task / "schedstat").read_text(encoding="ascii").split()[1]))
    return sum(found) / 1e9 if found else None


@contextmanager
def sleeping_waits(library: ctypes.CDLL) -> Iterator[None]:
    """Threads of OpenMP sleep when they wait: a team of threads that do nothing makes them more than the processors."""
    size, made, done = _team_size(library), threading.Event(), threading.Event()

    def own() -> None:
        # Any function will do. The team sleeps until the thread that made it ends.
        function = ctypes.cast(library.omp_get_thread_num, ctypes.c_void_p)
        library.GOMP_parallel(function, None, ctypes.c_uint(size), ctypes.c_uint(0))
        made.set()
        done.wait()

    owner = threading.Thread(target=own, name="composer-sleeping-team", daemon=True)
    owner.start()
    made.wait()
    try:
        yield
    finally:
        done.set()
        owner.join()


def _team_size(library: ctypes.CDLL) -> int:
    """The team, its owner included, with which threads are one more than processors."""
    return max(2, int(library.omp_get_num_procs()) - torch.get_num_threads() + 2)


def _openmp() -> ctypes.CDLL | None:
    """The libgomp that torch has loaded; None where it has another OpenMP."""
    try:
        return ctypes.CDLL(LIBRARY, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
