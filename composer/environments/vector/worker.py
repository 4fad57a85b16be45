"""Rows spread over worker processes that share their arrays with this one.

Workers are started with ``exec``, never by forking a process that has torch's threads. Arrays are in one unnamed block
of shared memory, so ``kill -9`` leaves nothing behind; a pipe carries only commands. Workers die with their parent
(strictly: with the thread that started them), leave signals to it, and every wait for them has a limit.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from composer.environments.interface import RenderingUnavailable
from composer.environments.vector.rows import LocalRows, Resets, RowArrays, RowFailure, Rows
from composer.spec import allowed_modules
from composer.spec.calls import in_words, of_others

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo

START_SECONDS = 120.0
"""How long a worker may take to import its simulator, beyond the time-out for one answer."""
CLOSE_SECONDS = 2.0
"""How long workers may take to exit by themselves."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from composer.environments.vector.worker import main; main()"
)
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PR_SET_PDEATHSIG = 1
_STEP, _DONE = b"step", b"done"


class WorkerRows(Rows):
    """Rows in contiguous shares over at most ``workers`` processes."""

    def __init__(self, environment: object, info: EnvironmentInfo, n: int, workers: int, timeout: float) -> None:
        """Each worker unpickles ``environment``, a declaration of single environments."""
        self._timeout = timeout
        self._workers: list[_Worker] = []
        memory = os.memfd_create("composer-environments")
        try:
            os.ftruncate(memory, RowArrays.nbytes(info, n))
            self.arrays = RowArrays(info, n, memoryview(mmap.mmap(memory, 0)))
            declared = _pickled(environment, info)
            for share in np.array_split(np.arange(n), min(workers, n)):
                first, last = int(share[0]), int(share[-1]) + 1
                self.arrays.current[first] = first
                self._workers.append(_Worker(memory, declared, (n, first, last), self._timeout))
            self._wait(self._workers, START_SECONDS + self._timeout)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(memory)

    @override
    def reset(self, resets: Resets) -> None:
        self._call_each("reset", [(pair,) for pair in resets])

    @override
    def step(self) -> None:
        for worker in self._workers:
            self._send(worker, _STEP)
        self._wait(self._workers, self._timeout)

    @override
    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Do nothing: a single environment never continues an episode."""

    @override
    def replay(self, resets: Resets, actions: Sequence[NDArray[np.float32]]) -> None:
        self._call_each("replay", list(zip(resets, actions, strict=True)))

    @override
    def render(self, row: int) -> NDArray[np.uint8]:
        worker = next(worker for worker in self._workers if worker.first <= row < worker.last)
        self._send(worker, pickle.dumps(("render", (row,))))
        picture: NDArray[np.uint8] = self._answer(worker, time.monotonic() + self._timeout)
        return picture

    @override
    def close(self) -> None:
        """Let the workers exit, and kill those that do not."""
        for worker in self._workers:
            worker.connection.close()
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._workers:
            self._workers.pop().end(max(0.0, deadline - time.monotonic()))

    def _call_each(self, method: str, items: Sequence[tuple[Any, ...]]) -> None:
        """Call ``method`` in each worker with its own ``items``, whose first members are pairs (row, seed)."""
        busy = []
        for worker in self._workers:
            own = [item for item in items if worker.first <= item[0][0] < worker.last]
            if own:
                self._send(worker, pickle.dumps((method, tuple(list(column) for column in zip(*own, strict=True)))))
                busy.append(worker)
        self._wait(busy, self._timeout)

    def _send(self, worker: _Worker, message: bytes) -> None:
        try:
            worker.connection.send_bytes(message)
        except BlockingIOError as error:
            raise self._timed_out(worker) from error
        except OSError as error:
            raise self._died(worker) from error

    def _wait(self, workers: Sequence[_Worker], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for worker in workers:
            self._answer(worker, deadline)

    def _answer(self, worker: _Worker, deadline: float) -> Any:
        """Receive the worker's answer. An error, its death or a time-out is a failure of the row it is working on."""
        allowed = deadline - time.monotonic()
        try:
            if not worker.connection.poll(max(0.0, allowed)):
                raise self._timed_out(worker)
            answer = worker.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._died(worker) from error
        if answer == _DONE:
            return None
        outcome = pickle.loads(answer)
        if isinstance(outcome, RowFailure | RenderingUnavailable):
            raise outcome
        return outcome

    def _busy_row(self, worker: _Worker) -> int:
        return int(self.arrays.current[worker.first])

    def _timed_out(self, worker: _Worker) -> RowFailure:
        worker.process.kill()
        return RowFailure(self._busy_row(worker), f"no answer within {self._timeout:g} s; its worker was killed")

    def _died(self, worker: _Worker) -> RowFailure:
        code = worker.end(CLOSE_SECONDS)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return RowFailure(self._busy_row(worker), f"its worker process died ({how})")


class _Worker:
    """The parent's end of one worker process, which owns the rows ``first`` to ``last`` (exclusive)."""

    def __init__(self, memory: int, declared: bytes, extent: tuple[int, int, int], timeout: float) -> None:
        _, self.first, self.last = extent
        ours, theirs = socket.socketpair()
        # A stopped worker reads nothing: without a limit, sending it a long episode would block for ever.
        limit = struct.pack("ll", int(timeout), int(timeout % 1.0 * 1e6))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.connection = Connection(ours.detach())
        with theirs:
            command = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)]
            numbers = [theirs.fileno(), memory, os.getpid(), *extent]
            # Standard output is for the command's result: what simulators print goes to standard error.
            self.process = subprocess.Popen(
                [*command, *map(str, numbers)],
                pass_fds=(theirs.fileno(), memory),
                env={**os.environ, **_THREADS, **allowed_modules.for_children()},
                stdin=subprocess.DEVNULL,
                stdout=2,
            )
        self.connection.send_bytes(declared)

    def end(self, seconds: float) -> int:
        """Wait ``seconds`` for the process to exit, then kill it; returns its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _pickled(environment: object, info: EnvironmentInfo) -> bytes:
    """The pickled declaration and description: classes by module and name, fields by value. Raises ValueError."""
    if type(environment).__module__ == "__main__":
        raise ValueError(
            f"workers import environments, and {type(environment).__name__} is defined in the program itself: "
            "move it to a module of its own, or set workers = 0"
        )
    return pickle.dumps((environment, info))


def main() -> None:
    """Entry point of a worker: execute commands until the parent closes the pipe."""
    connection, memory, parent, n, first, last = map(int, sys.argv[2:])
    # The parent decides when to stop, and its last checkpoint may need this process: ignore Ctrl-C in the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    with Connection(connection) as pipe:
        try:
            _serve(pipe, memory, n, first, last)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _serve(pipe: Connection, memory: int, n: int, first: int, last: int) -> None:
    """Build the rows, then answer each message with ``_DONE``, a picture or an error."""
    try:
        with of_others():
            rows = _built(pipe.recv_bytes(), memory, n, first, last)
    except (EOFError, ConnectionResetError):
        raise
    except Exception as error:
        failure = error if isinstance(error, RowFailure) else RowFailure(first, f"its worker raised {in_words(error)}")
        pipe.send_bytes(pickle.dumps(_with_traceback(failure)))
        return
    pipe.send_bytes(_DONE)
    while True:
        message = pipe.recv_bytes()
        try:
            answer = _execute(rows, message)
        except (RowFailure, RenderingUnavailable) as failure:
            answer = _with_traceback(failure)
        pipe.send_bytes(_DONE if answer is None else pickle.dumps(answer))


def _built(message: bytes, memory: int, n: int, first: int, last: int) -> LocalRows:
    """The rows of this worker. Unpickling imports the module of the declaration, perhaps a plug-in's."""
    environment: Any
    environment, info = pickle.loads(message)
    arrays = RowArrays(info, n, memoryview(mmap.mmap(memory, 0)))
    return LocalRows(environment.single, environment.action_repeat, arrays, first, last)


def _execute(rows: LocalRows, message: bytes) -> Any:
    if message == _STEP:
        return rows.step()
    method, arguments = pickle.loads(message)
    return getattr(rows, method)(*arguments)


def _with_traceback(failure: Exception) -> Exception:
    """Add the traceback as a note: pickling loses the traceback and the cause."""
    failure.add_note("in the worker process:\n" + "".join(traceback.format_exception(failure)))
    return failure
