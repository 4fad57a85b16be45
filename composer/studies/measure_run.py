"""Diagnostics of a run's checkpoint, also those that the run did not record: for notebooks and other studies.

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
from composer.training.assemble import load_agent
from composer.training.collect.build import runtime_of
from composer.training.compile.capture import Choice
from composer.training.diagnose.recorder import Recorder, Row
from composer.training.learner import Learner
from composer.training.runs.checkpoint import Checkpoints


def measure(
    run: Path, measures: Sequence[Diagnostic], at: int | None = None, batch: int | None = None, untrained: bool = False
) -> dict[int, Row]:
    """Metrics by seed of a run's newest good checkpoint, or of the one at environment step ``at``.

    The samples are the run's own probe batch where it has one and ``batch`` asks for no other size, so that values
    continue the run's; otherwise ``batch`` samples (512) of its replay or of its present task. ``untrained`` reads
    the networks at initialisation, on the same samples. The run is not changed. Raises RunUnusable,
    CheckpointDamaged, and Refused for measures that these networks do not have.
    """
    blueprint, learner, snapshot = load_agent(run, at)
    declared = Diagnostics(batch=batch or blueprint.diagnostics.batch, measures=tuple(measures))
    outlines = {role: learner.outlines[role] for role in blueprint.learning_outlines}
    problems = [f"{key}: {message}" for key, message in declared.problems(outlines)]
    if problems:
        raise Refused("; ".join(problems))
    recorder = Recorder(declared, blueprint.agent, learner.device)
    if batch in (None, blueprint.diagnostics.batch):
        names = [name for name in snapshot.values["diagnostics"] if name.startswith("probe/")]
        recorder.load({name: snapshot.tensors[f"diagnostics/{name}"] for name in names})
    subject = _untrained(blueprint, learner) if untrained else learner
    data = runtime_of(blueprint.environment).stored(learner, Checkpoints(run), snapshot)
    rows = recorder.read_all(subject, data)
    return dict(zip(learner.seeds, rows, strict=True))


def _untrained(blueprint: Blueprint, learner: Learner) -> Learner:
    """The agent at initialisation, with the present normalisation of observations."""
    choice = Choice(False, "nothing is trained")
    first = Learner(blueprint.agent, learner.device, choice)
    for name, value in learner.tensors().items():
        if name.startswith("normalization/"):
            first.tensors()[name].copy_(value)
    return first
