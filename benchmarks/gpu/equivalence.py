"""Equal numbers: a GPU's and a CPU's, captured and eager, lower and full precision; from equal weights, data and noise.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.gpu.agents import (
    CASES,
    MLP,
    NATURE,
    SIMBA,
    Agent,
    Case,
    agent,
    distance,
    given,
    grouped,
    learn,
    weights,
)
from benchmarks.gpu.pieces import Check, Findings, Piece, Row
from benchmarks.gpu.setting import EAGER, Setting
from composer.training import assemble
from composer.training.compile.capture import Choice

LIMIT: Final = 0.02
"""Of the difference of what was learned, relative to what was learned, in float32. This project's choice: rounding
moves the few entries whose gradient is all but zero, which Adam steps as far as any other; a wrong number moves all."""
PRECISIONS: Final = {"tf32": 0.25, "bf16": 0.6}
"""The same for lower precisions, whose larger rounding turns more signs of small gradients. This project's choice."""


def devices(setting: Setting) -> Findings:
    """Every family, eager: the device against a CPU."""

    def compare(case: Case) -> Row:
        blueprint = case.load(setting)
        return _compared(setting, agent(blueprint, "cpu", EAGER), agent(blueprint, setting.device, EAGER))

    return _each(CASES, LIMIT, compare)


def capturing(cases: tuple[Case, ...], setting: Setting) -> Findings:
    """Captured against eager updates on the device."""

    def compare(case: Case) -> Row:
        blueprint = case.load(setting)
        eager, captured = (agent(blueprint, setting.device, choice) for choice in (EAGER, setting.captured()))
        return _compared(setting, eager, captured)

    findings = _each(cases, LIMIT, compare)
    findings.notes.append(_how(setting))
    return findings


def precisions(setting: Setting) -> Findings:
    """Lower precision against float32."""
    findings = Findings()
    for precision, limit in PRECISIONS.items():

        def compare(case: Case, precision: str = precision) -> Row:
            exact = agent(case.load(setting), setting.device, EAGER)
            # Precision is set for the whole process, so one agent finishes before the other is made.
            batches, start = given(exact, _updates(setting)), weights(exact)
            for _ in learn(exact, batches):
                pass
            lower = agent(case.load(setting, 2, f"compute.precision={precision}"), setting.device, EAGER)
            for _ in learn(lower, batches):
                pass
            assemble.set_up_process(case.load(setting), setting.device)
            return {"updates": len(batches), "difference": distance(start, weights(lower), weights(exact))}

        found = _each((MLP, SIMBA, NATURE), limit, compare, f", {precision}")
        findings.checks += found.checks
        findings.rows += found.rows
        findings.errors += found.errors
    if not setting.on_gpu:
        findings.notes.append("a CPU computes TF32 as float32")
    return findings


def _each(cases: tuple[Case, ...], limit: float, compare: Callable[[Case], Row], suffix: str = "") -> Findings:
    findings = Findings()
    for case in cases:
        with findings.attempt(case.name + suffix):
            row = compare(case)
            findings.rows.append({"agent": case.name + suffix, **row, "limit": limit})
            findings.checks.append(Check(case.name + suffix, row["difference"], limit))
    return findings


def _compared(setting: Setting, reference: Agent, other: Agent) -> Row:
    """Let both learn from the same batches; rows hold the difference at the end."""
    batches, start = given(reference, _updates(setting)), weights(reference)
    for _ in learn(reference, batches):
        pass
    for _ in learn(other, [batch.to(other.learner.device) for batch in batches]):
        pass
    return {"updates": len(batches), "difference": distance(start, weights(other), weights(reference))}


def _updates(setting: Setting) -> int:
    return setting.sized(20, 3)


def _how(setting: Setting) -> str:
    captured: Choice = setting.captured()
    if not captured.compiled:
        return "nothing was compiled here: captured is eager"
    return (
        "captured is a CUDA graph of compiled code" if setting.on_gpu else "captured is compiled; a CPU has no graphs"
    )


PIECES: Final = (
    Piece(
        "devices", "The same updates on this device and on a CPU, from the same weights, batches and noise.", devices
    ),
    *grouped("capturing", "Captured updates against eager ones on this device.", capturing),
    Piece("precisions", "Updates in lower precision against float32.", precisions),
)
