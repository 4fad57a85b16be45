"""No wait for the device inside an update or a decision, and no memory that grows.

Tests: tests/study/test_gpu_suite.py.
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

from composer.study.gpu.agents import CASES, MLP, NATURE, Agent, agent, given, learn
from composer.study.gpu.pieces import Check, Findings, Piece
from composer.study.gpu.setting import EAGER, Setting

_ATEN = torch.ops.aten
_WAITING: Final = frozenset({_ATEN._local_scalar_dense.default, _ATEN.nonzero.default, _ATEN.is_nonzero.default})
"""Operations that need a number on the host before they can go on."""


class Waits(TorchDispatchMode):
    """Counts operations that make the host wait for a device, on any device: a CPU runs the same ones."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        brought = isinstance(result, Tensor) and any(
            isinstance(each, Tensor) and each.device.type != result.device.type for each in args
        )
        if function in _WAITING or brought:
            self.names.append(str(function))
        return result


def synchronisation(setting: Setting) -> Findings:
    """Updates and decisions of every family under torch's own alarm, and eager ones under a counter."""
    findings = Findings(
        notes=[] if setting.on_gpu else ["torch's alarm for synchronisation needs a GPU: operations were counted alone"]
    )
    for case in CASES:
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
    return findings


def _counted(one: Agent) -> list[str]:
    batches = given(one, 2)
    counter = Waits()
    with counter:
        _work(one, batches)
    return counter.names


def _alarms(one: Agent) -> list[str]:
    """What torch says of updates and decisions that wait; the first ones, which record, may."""
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
        if not one.blueprint.algorithm.kind == "supervised":
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
        # An allocator hands out blocks: what a process holds may move a little on a CPU, what tensors hold may not.
        limit = 0.0 if setting.on_gpu else 64.0
        findings.rows.append({"agent": case.name, "updates": updates, "grown, MiB": grown, "limit": limit})
        findings.checks.append(Check(f"{case.name}: growth, MiB", grown, limit))
    return findings


def _held(setting: Setting) -> int:
    setting.settle()
    return torch.cuda.memory_allocated() if setting.on_gpu else int(psutil.Process().memory_info().rss)


PIECES: Final = (
    Piece("synchronisation", "Whether updates and decisions make the host wait for the device.", synchronisation),
    Piece("memory", "Memory that many updates leave behind.", memory),
)
