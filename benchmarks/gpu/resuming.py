"""Resuming from a checkpoint on the same device: equal bit by bit to an uninterrupted run.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch

from benchmarks.gpu.agents import SUPERVISED, Agent, Case, Given, agent, given, grouped
from benchmarks.gpu.pieces import Check, Findings, Piece, Row, Skipped
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.until import Until
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.interrupts import Interrupted
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints, Snapshot
from composer.training.runs.state_digest import digest


def learners(cases: tuple[Case, ...], setting: Setting) -> Findings:
    """Learn, save, learn; a second agent loads and learns the rest."""
    findings, updates = Findings(), setting.sized(10, 2)
    for case in cases:
        with findings.attempt(case.name):
            differ = _differing(case, setting, updates)
            row: Row = {"agent": case.name, "updates": 2 * updates, "tensors that differ": len(differ)}
            findings.rows.append({**row, "first of them": differ[0] if differ else ""})
            findings.checks.append(Check(case.name, float(len(differ)), 0.0))
    return findings


def _differing(case: Case, setting: Setting, updates: int) -> list[str]:
    """Names of the tensors that differ at the end."""
    with tempfile.TemporaryDirectory() as folder:
        first = agent(case.load(setting), setting.device, setting.captured())
        batches = given(first, 2 * updates)
        _learn(first, batches[:updates])
        _save(first, Path(folder))
        _learn(first, batches[updates:])
        second = agent(case.load(setting), setting.device, setting.captured())
        _load(second, Path(folder))
    _learn(second, batches[updates:])
    theirs = second.learner.tensors()
    return [name for name, value in first.learner.tensors().items() if not torch.equal(value, theirs[name])]


def runs(setting: Setting) -> Findings:
    """Two whole runs: one uninterrupted, one interrupted half-way and resumed."""
    findings = Findings()
    for case, steps, module in (
        (_DIGITS, _DIGITS_STEPS, "sklearn"),
        (_SWING, setting.sized(4_000, 120), "dm_control"),
    ):
        lacking = [name for name in (module, "tomli_w") if find_spec(name) is None]
        if lacking:
            findings.rows.append({"run": case.name, "environment steps": None, "equal": f"skipped: needs {lacking[0]}"})
            continue
        with findings.attempt(case.name):
            equal = _same_end(case, setting, steps)
            findings.rows.append({"run": case.name, "environment steps": steps, "equal": "yes" if equal else "no"})
            findings.checks.append(Check(f"{case.name}: a run that was resumed differs", float(not equal), 0.0))
    if not findings.checks and not findings.errors:
        raise Skipped("; ".join(f"{row['run']} {row['equal'].removeprefix('skipped: ')}" for row in findings.rows))
    return findings


_DIGITS_STEPS: Final = 60
_DIGITS: Final = Case(
    "supervised, on digits",
    SUPERVISED.blueprint,
    ("environment.phases=[{ updates = 20, subset = 0.1 }, { updates = 40 }]",),
    SUPERVISED.toy,
)
_SWING: Final = Case(
    "sac on cartpole-swingup",
    "dmc/sac_mlp",
    ("environment.task=cartpole-swingup", "algorithm.warmup_interactions=50", "replay.capacity=5000"),
    ("algorithm.batch_size=8", "networks.actor.trunk.width=8", "networks.critic.trunk.width=12"),
)


def _same_end(case: Case, setting: Setting, steps: int) -> bool:
    mode = "always" if setting.compiles else "never"
    lengths = (f"training.env_steps={steps}", f"evaluation.every={steps}", "evaluation.episodes=1")
    blueprint = case.load(
        setting, 2, *lengths, f"checkpoint.every={steps}", f"compute.compile={mode}", f"compute.device={setting.device}"
    )
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        for half in (None, steps // 2):
            run, session = assemble.start(blueprint, Path(folder), None)
            try:
                train(session, Console(steps, enabled=False) if half is None else Until(steps, at=half))
            except Interrupted:
                session.close()
                run.close()
                run, session, _ = assemble.resume(run.path)
                train(session, Console(steps, enabled=False))
            finally:
                session.close()
                run.close()
            checkpoints = Checkpoints(run.path)
            ends.append(digest(checkpoints, checkpoints.load()))
    return ends[0] == ends[1]


def _learn(one: Agent, batches: Sequence[Given]) -> None:
    for batch in batches:
        one.learner.update(batch.transitions, batch.extra)


def _save(one: Agent, folder: Path) -> None:
    streams = {f"random/{name}": generator.get_state() for name, generator in one.learner.generators().items()}
    Checkpoints(folder).save(1, Snapshot(one.learner.tensors() | streams, {}))


def _load(one: Agent, folder: Path) -> None:
    saved = Checkpoints(folder).load().tensors
    one.learner.load(saved)
    for name, generator in one.learner.generators().items():
        generator.set_state(saved[f"random/{name}"].contiguous())


PIECES: Final = (
    *grouped("resuming", "Agents that go on from a checkpoint: tensors that end other than without it.", learners),
    Piece("resuming-runs", "Runs that are interrupted and resumed against uninterrupted runs.", runs),
)
