"""Compile functions and capture CUDA graphs: the only code that calls ``torch.compile``.

A captured function closes over its state, changes it in place and takes tensors of fixed shapes, because programs and
graphs keep addresses. Tests compare it with the eager function: tests/training/test_capture.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from composer.spec.errors import ComposerError
from composer.training.compile.cache import fill_cache
from composer.training.compile.compiler import compiler_problem, missing_for_compiling
from composer.training.compile.first_call import FirstCall
from composer.training.compile.kept import KeptProgram, KeptPrograms

# Measured on two CPU cores (docs/benchmarks/speed.md): a cold compile costs 26 to 48 s. It saves 4 ms of an MLP's
# update, 15 ms and more of SimBa's at its published width: repaid after 7,000 and 3,000. Doubled, to be safe.
COLD_COMPILE_UPDATES = 12_000
IN_BACKGROUND = "until another process has compiled it"


class Unavailable(ComposerError, RuntimeError):
    """A blueprint needs something that this machine does not have: a GPU, a compiler."""

    exit_code = 2


@dataclass(frozen=True)
class Choice:
    """Whether the update is compiled, and why, for people."""

    compiled: bool
    reason: str
    graphed: bool = True
    """Whether a compiled update on CUDA is replayed as a graph; only benchmarks switch it off."""
    falls_back: bool = False
    """Whether the update goes on eagerly where compiling it fails."""
    failed: str | None = None
    """How a compiler that is there fails, where that is why the update is eager."""
    in_background: bool = False
    """Whether another process compiles the update, which is eager until then."""


def choose(mode: str, device: str, updates: int, reproducible: bool = True) -> Choice:
    """Decide from the blueprint alone (never from a measurement), so that equal blueprints give equal numbers.

    ``mode`` is "auto", "always", "never" or "background"; ``updates`` counts the whole run's. Raises Unavailable for
    "always" where something is missing. "background" begins eagerly, as "auto" does on a CPU where a compile is repaid
    and the run need not be ``reproducible``.
    """
    if mode == "never":
        return Choice(False, "compute.compile is 'never'")
    lacking = missing_for_compiling() if device == "cpu" else None
    if lacking and mode != "always":
        return Choice(False, lacking)
    if mode == "background":
        return Choice(False, IN_BACKGROUND, in_background=True)
    if mode == "auto" and device == "cpu" and updates < COLD_COMPILE_UPDATES:
        return Choice(False, f"{updates:,} updates do not repay a cold compile of about half a minute on a CPU")
    if mode == "auto" and device == "cpu" and not reproducible:
        reason = f"{IN_BACKGROUND}: {updates:,} updates repay it, and compute.reproducible is false"
        return Choice(False, reason, in_background=True)
    problem = lacking or (compiler_problem() if device == "cpu" else None)
    if problem and mode == "always":
        raise Unavailable(f"compute.compile is 'always', but {problem}")
    if problem:
        return eager_after(problem)
    if mode == "always":
        return Choice(True, "compute.compile is 'always'")
    return Choice(True, f"{updates:,} updates repay it", falls_back=True)


def eager_after(problem: str) -> Choice:
    """The choice of a run whose compiler fails."""
    return Choice(False, f"it could not be compiled: {problem}", failed=problem)


def capture(
    function: Callable[..., Any],
    choice: Choice,
    device: str,
    state: Callable[[], Sequence[Tensor]],
    kept: KeptPrograms | None = None,
) -> Callable[..., Any]:
    """``function`` compiled as one graph where ``choice`` says so, and on CUDA replayed as a CUDA graph.

    ``state`` lists the tensors that the function changes: recording a CUDA graph runs it, and restores them. The first
    call compiles it, or loads it from ``kept``, and raises CompileFailed where that fails.
    """
    if not choice.compiled:
        return function
    import torch._dynamo

    # Lets torch.autograd.grad be traced into the graph instead of breaking it.
    torch._dynamo.config.trace_autograd_ops = True
    # Each learner compiles another closure over the same code; the limit is meant for accidental recompilations.
    torch._dynamo.config.recompile_limit = 64
    from composer.training.compile.graph_passes import options

    fill_cache()
    chosen = options(device)
    if kept is not None:
        return FirstCall(KeptProgram(function, kept, partial(traced, function), chosen), state)
    compiled = FirstCall(traced(function, chosen), state)
    return CudaGraph(compiled, state) if choice.graphed and device.startswith("cuda") else compiled


def traced(
    function: Callable[..., Any], options: Mapping[str, Any], backend: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """``function`` under dynamo, which traces it at its first call and hands one graph to ``backend``, or inductor."""
    # Isolated: other learners compile other closures over the same code, which so few guards do not tell apart.
    program: Callable[..., Any] = torch.compile(  # type: ignore[call-overload]
        function,
        fullgraph=True,
        dynamic=False,
        isolate_recompiles=True,
        options={**options, "guard_filter_fn": guards_of_arguments},
        **({} if backend is None else {"backend": backend}),
    )
    return program


def guards_of_arguments(guards: Sequence[Any]) -> list[bool]:
    """Which of dynamo's guards each call evaluates: those of the function's arguments and of torch's global state.

    The state that it closes over is fixed, and nearly all of two thousand guards are about that.
    """
    return [not (guard.is_global or "." in guard.name) for guard in guards]


class CudaGraph:
    """Records a function of tensors once and replays it; inputs are copied to the recorded addresses."""

    def __init__(self, function: Callable[..., Any], state: Callable[[], Sequence[Tensor]], warmups: int = 3) -> None:
        """Recording runs the function ``warmups`` times, then restores the tensors of ``state``, which it changes."""
        self._function, self._state, self._warmups = function, state, warmups
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Replay the graph on ``inputs`` of the recorded shapes; the next call overwrites the outputs."""
        if self._graph is None:
            self._record(inputs)
        for slot, value in zip(self._inputs, inputs, strict=True):
            slot.copy_(value, non_blocking=True)
        assert self._graph is not None
        self._graph.replay()
        return self._outputs

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = [value.clone() for value in inputs]
        kept = [tensor.detach().clone() for tensor in self._state()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self._warmups):
                self._function(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = self._function(*self._inputs)
        with torch.no_grad():
            for tensor, value in zip(self._state(), kept, strict=True):
                tensor.copy_(value)
