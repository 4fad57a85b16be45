"""Diagnostics of a run's checkpoint, whatever the run measured itself: for notebooks and other studies.

    from composer.diagnostics import Trainability
    measure(Path("runs/..."), [Trainability(steps=2_000, targets=10)])

Tests: tests/diagnostics/test_measuring.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from composer.assemble import agent
from composer.blueprint import Blueprint
from composer.checkpoint import Checkpoints, Snapshot
from composer.diagnostics import Diagnostic, Diagnostics
from composer.diagnostics.recorder import Recorder, Row
from composer.experience.replay import Replay
from composer.learner import Learner
from composer.study.refusal import Refused


def measure(
    run: Path, measures: Sequence[Diagnostic], at: int | None = None, batch: int | None = None
) -> dict[int, Row]:
    """Metrics by seed: what the measures read of a run's newest good checkpoint, or of that of environment step ``at``.

    They are read on the run's own probe batch where it has one and ``batch`` asks for no other, so that values continue
    the run's; else on ``batch`` transitions (512) drawn from its replay. Nothing of the run is changed. Raises
    RunUnusable, CheckpointDamaged, and Refused for measures that these networks do not have.
    """
    blueprint, learner, snapshot = agent(run, at)
    declared = Diagnostics(batch=batch or blueprint.diagnostics.batch, measures=tuple(measures))
    outlines = {role: learner.outlines[role] for role in blueprint.networks}
    problems = [f"{key}: {message}" for key, message in declared.problems(outlines)]
    if problems:
        raise Refused("; ".join(problems))
    info = blueprint.environment.describe()
    recorder = Recorder(blueprint.model_copy(update={"diagnostics": declared}), info, learner.device)
    if batch in (None, blueprint.diagnostics.batch):
        names = [name for name in snapshot.values["diagnostics"] if name.startswith("probe/")]
        recorder.load({name: snapshot.tensors[f"diagnostics/{name}"] for name in names})
    rows = recorder.read_all(learner, _replay(run, blueprint, learner, snapshot))
    return dict(zip(learner.seeds, rows, strict=True))


def _replay(run: Path, blueprint: Blueprint, learner: Learner, snapshot: Snapshot) -> Replay:
    """The replay of a checkpoint, no larger than what it holds."""
    info = blueprint.environment.describe()
    copies = blueprint.environment.stride // info.action_repeat
    start, stop = snapshot.values["replay_start"], snapshot.values["replay_added"]
    (size,) = info.observation
    replay = Replay(len(learner.seeds), copies, stop - start, size, info.action_size, learner.device)
    for first, rows in Checkpoints(run).rows(snapshot):
        skip = max(0, start - first)
        replay.restore(first + skip, rows[skip:])
    return replay
