"""Waiting threads spin, and sleep beside other processes; the threads that ``compute.threads`` declares."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from composer.spec.processors import THREADS
from composer.training import waiting_threads
from composer.training.assemble import process
from composer.training.waiting_threads import (
    ADAPTIVE,
    LIMIT,
    LONGEST,
    SHORTEST,
    alternate,
    how_threads_wait,
    seconds_kept_from_running,
    sleeping_waits,
    watch_contention,
)


@pytest.fixture
def library() -> ctypes.CDLL:
    found = waiting_threads._openmp()
    if found is None or found.omp_get_num_procs() < 2:
        pytest.skip("torch has another OpenMP here, or there is one processor")
    return found


def test_threads_that_wait_use_no_processor_while_a_sleeping_team_exists(library: ctypes.CDLL) -> None:
    """After a parallel region its second thread waits for the next: it spins for milliseconds, or sleeps at once."""
    if any(name in os.environ for name in waiting_threads.CHOSEN_BY_USER):
        pytest.skip("the environment says how threads wait")
    spinning = _waiting_cost(library)
    for _ in range(2):
        with sleeping_waits(library):
            sleeping = _waiting_cost(library)
        assert sleeping < spinning / 4
    assert _waiting_cost(library) > spinning / 4, "the team has ended, and threads spin again"


def _waiting_cost(library: ctypes.CDLL) -> float:
    """Processor seconds of twelve waits for the next region of two threads."""
    function = ctypes.cast(library.omp_get_thread_num, ctypes.c_void_p)
    began = time.process_time()
    for _ in range(12):
        library.GOMP_parallel(function, None, ctypes.c_uint(2), ctypes.c_uint(0))
        time.sleep(0.015)
    return time.process_time() - began


def test_threads_sleep_longer_while_contention_lasts_and_spin_after_it() -> None:
    measured = [0.1, LIMIT, 0.3, *[LIMIT] * 12, 0.3, *[LIMIT] * 2]
    done: list[object] = []

    @contextmanager
    def sleeping() -> Iterator[None]:
        done.append("sleep")
        yield
        done.append("spin")

    with pytest.raises(IndexError):  # No measurement is left.
        alternate(lambda: measured.pop(0), sleeping, done.append)
    pauses = [each for each in done if isinstance(each, float)]
    assert pauses == [SHORTEST, 0.5, 1.0, 2.0, LONGEST, LONGEST, SHORTEST]
    assert done[:4] == ["sleep", SHORTEST, "spin", "sleep"] and done[-1] == "spin"


def test_time_kept_from_running_is_that_of_all_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_threads, "_TASKS", tmp_path)
    (tmp_path / "4").mkdir()
    assert seconds_kept_from_running() is None
    (tmp_path / "4/schedstat").write_text("7000000000 1500000000 90\n")
    (tmp_path / "5").mkdir()
    (tmp_path / "5/schedstat").write_text("0 250000000 1\n")
    assert seconds_kept_from_running() == 1.75


def test_what_the_user_chose_stays(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in waiting_threads.CHOSEN_BY_USER:
        monkeypatch.delenv(name, raising=False)
    assert how_threads_wait() == "one thread, which never waits" or torch.get_num_threads() > 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert how_threads_wait() == ADAPTIVE
    monkeypatch.setattr(waiting_threads, "seconds_kept_from_running", lambda: None)
    assert "this kernel does not say" in how_threads_wait()
    monkeypatch.setenv("GOMP_SPINCOUNT", "10")
    assert how_threads_wait() == "as set: GOMP_SPINCOUNT=10"
    before = threading.active_count()
    watch_contention()
    assert threading.active_count() == before and not waiting_threads._begun.locked()


@pytest.mark.parametrize(
    ("declared", "said", "expected"),
    [("auto", None, [5]), ("auto", "3", [3]), ("auto", "2", []), ("auto", "4,2", []), (0, None, []), (7, "3", [7])],
)
def test_threads_are_declared_shared_out_or_those_of_the_process(
    declared: int, said: str | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch has two threads; the process may use five cores."""
    found: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    monkeypatch.setattr(process, "cores", lambda: 5)
    monkeypatch.delenv(THREADS, raising=False)
    if said is not None:
        monkeypatch.setenv(THREADS, said)
    process.set_threads(declared)  # type: ignore[arg-type]
    assert found == expected
