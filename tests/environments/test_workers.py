"""Worker processes: the same numbers as in this process, and no way of failing that hangs or leaves anything behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scripted_environment import Fault, Scripted

from composer.environments import (
    DmControl,
    EnvironmentFailure,
    RenderingUnavailable,
    Simulator,
    VectorEnvironment,
)
from composer.environments.vector import worker as worker_module

SEEDS = [0, 1, 2, 3, 4]


@contextlib.contextmanager
def opened(environment: Simulator, seeds: list[int] = SEEDS) -> Iterator[VectorEnvironment]:
    with contextlib.closing(environment.make(seeds, "training")) as vector:
        yield vector


def processes(vector: VectorEnvironment) -> list[int]:
    return [worker.process.pid for worker in vector._rows._workers]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "environment",
    [
        Scripted(limit=7, action_repeat=2, terminates_at=5),
        pytest.param(DmControl(task="cartpole-swingup", action_repeat=25), marks=pytest.mark.slow),
    ],
    ids=lambda environment: environment.kind,
)
def test_workers_equal_this_process(environment: Simulator) -> None:
    """Alone compares dm_control in workers with dm_control in this process, bit by bit."""
    draw = np.random.default_rng(0)
    apart = environment.model_copy(update={"workers": 2})
    with opened(environment) as here, opened(apart) as there:
        np.testing.assert_array_equal(here.reset(), there.reset())
        for _ in range(45):
            taken = draw.uniform(-1, 0.9, (5, here.info.action_size)).astype(np.float32)
            expected, got = here.step(taken), there.step(taken)
            for name in expected._fields:
                np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
        state = there.state()
        for name, array in here.state().items():
            np.testing.assert_array_equal(state[name], array, err_msg=name)
        np.testing.assert_array_equal(there.load_state(state), state["observations"])
        np.testing.assert_array_equal(there.step(taken).observation, here.step(taken).observation)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "step raised ZeroDivisionError: joint without a mass"),
        ("hang", "no answer within 0.5 s; its worker was killed"),
        ("kill", r"its worker process died \(SIGKILL\)"),
        ("nan", "entry 1 of the observation is nan"),
    ],
)
def test_failures_name_the_environment_and_leave_the_state(fault: Fault, reason: str) -> None:
    """Alone kills, hangs and spoils a worker process."""
    environment = Scripted(fault=fault, workers=2, timeout_seconds=0.5)
    with opened(environment) as vector:
        vector.reset()
        vector.step(np.zeros((5, 2), np.float32))
        taken = np.zeros((5, 2), np.float32)
        taken[4, 0] = 1.0
        with pytest.raises(EnvironmentFailure, match=f"environment 4 .* decision 1 under action .1, 0.: {reason}"):
            vector.step(taken)
        assert vector.state()["lengths"].tolist() == [1] * 5


def test_failure_to_build_is_reported_with_the_workers_traceback() -> None:
    with pytest.raises(EnvironmentFailure, match="OSError: no such model") as caught:
        Scripted(fault="raise_in_build", workers=1).make([0], "training")
    assert "in single" in caught.value.__cause__.__notes__[0]  # type: ignore[union-attr]


def test_pictures_travel_and_so_does_their_absence() -> None:
    with opened(Scripted(workers=2)) as vector:
        vector.reset()
        with pytest.raises(RenderingUnavailable, match="nothing to see yet"):
            vector.render(3)
        vector.step(np.zeros((5, 2), np.float32))
        np.testing.assert_array_equal(vector.render(3), np.ones((2, 3, 3), np.uint8))


def test_workers_leave_signals_to_their_parent_and_end_with_the_vector() -> None:
    with opened(Scripted(workers=9), [0, 1]) as vector:
        pids = processes(vector)
        assert len(pids) == 2
        vector.reset()
        for pid in pids:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        vector.step(np.zeros((2, 2), np.float32))
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_stopped_worker_does_not_block_the_sending_of_a_long_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "CLOSE_SECONDS", 0.1)
    environment = Scripted(limit=10**6, declared_limit=200_000, timeout_seconds=0.5, workers=1)
    with opened(environment, [0]) as vector:
        vector.reset()
        state = vector.state()
        state["lengths"][0], state["actions"] = 200_000, np.zeros((200_000, 2), np.float32)
        os.kill(processes(vector)[0], signal.SIGSTOP)
        with pytest.raises(EnvironmentFailure, match=r"no answer within 0\.5 s"):
            vector.load_state(state)


def test_workers_die_with_a_killed_parent_even_while_they_hang() -> None:
    program = (
        "import numpy; from scripted_environment import Scripted\n"
        "vector = Scripted(workers=2, fault='hang').make([0, 1], 'training'); vector.reset()\n"
        "print(*[worker.process.pid for worker in vector._rows._workers], flush=True)\n"
        "vector.step(numpy.ones((2, 2), numpy.float32))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None and parent.stderr is not None
        watched = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        # Both write to one pipe, a word and a line's end each, in any order.
        assert parent.stderr.read(2 * len("hanging\n")).count("hanging") == len(watched)
        parent.kill()
    for descriptor in watched:
        assert select.select([descriptor], [], [], 5.0)[0], "a worker outlives its parent"
        os.close(descriptor)


def test_an_environment_of_the_program_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "__module__", "__main__")
    with pytest.raises(ValueError, match="Scripted is defined in the program itself: move it to a module"):
        Scripted(workers=1).make([0], "training")
