"""No wait for the device inside an update or a decision, and no memory that grows.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu.agents import MLP, NATURE, Agent, Case, agent, given, grouped, learn
from benchmarks.gpu.pieces import Check, Findings, Piece
from benchmarks.gpu.setting import EAGER, Setting

_ATEN = torch.ops.aten
_WAITING: Final = frozenset({_ATEN._local_scalar_dense.default, _ATEN.nonzero.default, _ATEN.is_nonzero.default})
"""Operations for which the host waits for a number from the device."""


class Waits(TorchDispatchMode):
    """Counts operations for which the host waits, on any device: a CPU runs the same operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _WAITING or any(_crosses(each, result) for each in args):
            self.names.append(str(function))
        return result


def _crosses(source: object, result: object) -> bool:
    """Whether data moves between devices; a single number of the host is part of a launch."""
    if not (isinstance(source, Tensor) and isinstance(result, Tensor)):
        return False
    return source.device.type != result.device.type and (result.device.type == "cpu" or source.ndim > 0)


def synchronisation(cases: tuple[Case, ...], setting: Setting) -> Findings:
    """Updates and decisions under torch's sync warnings, and eager ones under a counter."""
    findings = Findings()
    if not setting.on_gpu:
        findings.notes = [
            "torch's alarm for synchronisation needs a GPU: operations were counted alone",
            "decisions of agents that choose were not counted: one_hot asks a CPU for its bounds, and no GPU",
        ]
    for case in cases:
        with findings.attempt(case.name):
            _watched(case, setting, findings)
    return findings


def _watched(case: Case, setting: Setting, findings: Findings) -> None:
    """One family."""
    blueprint = case.load(setting)
    eager = agent(blueprint, setting.device, EAGER)
    waits = _counted(eager)
    row: dict[str, Any] = {"agent": case.name, "waits": len(waits), "which": ", ".join(sorted(set(waits)))}
    if setting.on_gpu:
        captured = agent(blueprint, setting.device, setting.captured())
        row["alarm"] = "; ".join(_alarms(eager) + _alarms(captured))
        findings.checks.append(Check(f"{case.name}: alarms", float(bool(row["alarm"])), 0.0))
    findings.rows.append(row)
    findings.checks.append(Check(f"{case.name}: waits", float(len(waits)), 0.0))


def _counted(one: Agent) -> list[str]:
    batches = given(one, 2)
    counter = Waits()
    with counter:
        _work(one, batches)
    return counter.names


def _alarms(one: Agent) -> list[str]:
    """Torch's warning about updates and decisions that wait, except the first ones, which record graphs."""
    batches = given(one, 3)
    _work(one, batches)
    torch.cuda.synchronize()
    try:
        with _alarm():
            _work(one, batches)
    except RuntimeError as error:
        return [str(error).splitlines()[0]]
    return []


@contextmanager
def _alarm() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _work(one: Agent, batches: Sequence[Any]) -> None:
    for batch in batches:
        one.learner.update(batch.transitions, batch.extra)
        # A classifier does not act; one_hot, by which others choose, waits on CPUs alone.
        if one.blueprint.algorithm.kind != "supervised" and (one.learner.device != "cpu" or not one.info.discrete):
            one.learner.act(batch.transitions.observation[:, :1])


def memory(setting: Setting) -> Findings:
    """Memory before and after many updates."""
    findings, share = Findings(), setting.seconds() / 2
    for case in (MLP, NATURE):
        one = agent(case.load(setting), setting.device, setting.captured())
        (batch,) = given(one, 1)
        for _ in learn(one, [batch] * setting.sized(100, 5)):
            pass
        one.learner.drain_signals()
        before, updates, began = _held(setting), 0, time.monotonic()
        while updates < setting.sized(100_000, 40) and time.monotonic() - began < share:
            for _ in learn(one, [batch] * 10):
                pass
            updates += 10
            if updates % 1_000 == 0:
                one.learner.drain_signals()
        setting.settle()
        grown = (_held(setting) - before) / 2**20
        # An allocator works in blocks: on a CPU the process's memory may vary a little, that of tensors may not.
        limit = 0.0 if setting.on_gpu else 64.0
        findings.rows.append({"agent": case.name, "updates": updates, "grown, MiB": grown, "limit": limit})
        findings.checks.append(Check(f"{case.name}: growth, MiB", grown, limit))
    return findings


def _held(setting: Setting) -> int:
    setting.settle()
    return torch.cuda.memory_allocated() if setting.on_gpu else int(psutil.Process().memory_info().rss)


PIECES: Final = (
    *grouped("synchronisation", "Whether updates and decisions make the host wait for the device.", synchronisation),
    Piece("memory", "Memory that many updates leave behind.", memory),
)
