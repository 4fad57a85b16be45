"""Diagnostics of a run's checkpoint, whatever the run measured itself: for notebooks and other studies.

    from composer.diagnostics import Trainability
    measure(Path("runs/..."), [Trainability(steps=2_000, targets=10)])

Tests: tests/diagnostics/test_measuring.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from composer.blueprint import Blueprint
from composer.diagnostics import Diagnostic, Diagnostics
from composer.studies import Refused
from composer.training.assemble import agent
from composer.training.collect.build import runtime_of
from composer.training.compile.capture import Choice
from composer.training.diagnose.recorder import Recorder, Row
from composer.training.learner import Learner
from composer.training.runs.checkpoint import Checkpoints


def measure(
    run: Path,
    measures: Sequence[Diagnostic],
    at: int | None = None,
    batch: int | None = None,
    newborn: bool = False,
) -> dict[int, Row]:
    """Metrics by seed: what the measures read of a run's newest good checkpoint, or of that of environment step ``at``.

    They are read on the run's own probe batch where it has one and ``batch`` asks for no other, so that values continue
    the run's; else on ``batch`` samples (512) drawn from its replay or the data of its present task. ``newborn`` reads
    the networks as they were first drawn, on the same samples. Nothing of the run is changed. Raises RunUnusable,
    CheckpointDamaged, and Refused for measures that these networks do not have.
    """
    blueprint, learner, snapshot = agent(run, at)
    declared = Diagnostics(batch=batch or blueprint.diagnostics.batch, measures=tuple(measures))
    outlines = {role: learner.outlines[role] for role in blueprint.networks}
    problems = [f"{key}: {message}" for key, message in declared.problems(outlines)]
    if problems:
        raise Refused("; ".join(problems))
    recorder = Recorder(declared, blueprint.agent, learner.device)
    if batch in (None, blueprint.diagnostics.batch):
        names = [name for name in snapshot.values["diagnostics"] if name.startswith("probe/")]
        recorder.load({name: snapshot.tensors[f"diagnostics/{name}"] for name in names})
    subject = _newborn(blueprint, learner) if newborn else learner
    data = runtime_of(blueprint.environment).stored(learner, Checkpoints(run), snapshot)
    rows = recorder.read_all(subject, data)
    return dict(zip(learner.seeds, rows, strict=True))


def _newborn(blueprint: Blueprint, learner: Learner) -> Learner:
    """The agent at its first draw; it sees observations normalised as they are now."""
    choice = Choice(False, "nothing is trained here")
    first = Learner(blueprint.agent, learner.device, choice)
    for name, value in learner.tensors().items():
        if name.startswith("normalization/"):
            first.tensors()[name].copy_(value)
    return first
