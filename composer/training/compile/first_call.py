"""The first call of a compiled function, which compiles it: whatever goes wrong is one error, and nothing has changed.

Tests: tests/training/test_compile_failures.py.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from composer.spec.errors import ComposerError
from composer.training.compile.compiler import LINE_LIMIT, first_line

DEADLINE_SECONDS = 900.0
"""One compiler process may take this long; inductor itself would wait for ever."""
_COMPILERS = re.compile(r"(.*-)?([gc]\+\+|clang(\+\+)?|g?cc|cc1(plus)?|collect2|ld|as|nvcc|ptxas|icpx)(-[\d.]+)?")
_LAST = re.compile(r"(?m)^[A-Za-z_][\w.]*: \S.*$")


class CompileFailed(ComposerError, RuntimeError):
    """An update cannot be compiled here; the message says by which program, and its first line."""

    exit_code = 7


class FirstCall:
    """A compiled function. An error of its first call becomes CompileFailed, and ``state`` is put back."""

    def __init__(self, compiled: Callable[..., Any], state: Callable[[], Sequence[Tensor]]) -> None:
        """``state`` lists the tensors that the function changes."""
        self._compiled, self._state, self._is_done = compiled, state, False

    def __call__(self, *inputs: Tensor) -> Any:
        """Call it. Raises CompileFailed, with every tensor of the state as it was."""
        if self._is_done:
            return self._compiled(*inputs)
        kept = [(tensor, tensor.detach().clone()) for tensor in self._state()]
        try:
            with compilers_limited(DEADLINE_SECONDS):
                result = self._compiled(*inputs)
        except (ComposerError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            with torch.no_grad():
                for tensor, value in kept:
                    tensor.detach().copy_(value)
            raise CompileFailed(f"compiling the update fails: {cause(error)}") from error
        self._is_done = True
        return result


def cause(error: BaseException) -> str:
    """What went wrong in the end, on one line: of a compiler its name and error, else the innermost exception."""
    while (inner := getattr(error, "inner_exception", None) or error.__cause__) is not None:
        error = inner
    command, output = getattr(error, "cmd", None), getattr(error, "output", None)
    if command and output is not None:
        program = command[0] if isinstance(command, (list, tuple)) else str(command).split()[0]
        said = output.decode("utf-8", "replace") if isinstance(output, bytes) else str(output)
        return f"{program}: {first_line(said)}"
    text = str(error)
    if "Traceback (most recent call last)" in text:  # Of another process; its last line names the exception.
        named = _LAST.findall(text)
        if named:
            return str(named[-1])[:LINE_LIMIT]
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:LINE_LIMIT]


@contextmanager
def compilers_limited(seconds: float, poll: float = 5.0) -> Iterator[None]:
    """Kill compilers below this process that take longer than ``seconds``; whoever waits for them sees them fail."""
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(seconds, poll, over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(seconds: float, poll: float, over: threading.Event) -> None:
    import psutil

    while not over.wait(poll):
        for process in psutil.Process().children(recursive=True):
            try:
                if _COMPILERS.fullmatch(process.name()) and time.time() - process.create_time() > seconds:
                    for each in (*process.children(recursive=True), process):
                        each.kill()
            except psutil.Error:  # It has ended meanwhile.
                continue
