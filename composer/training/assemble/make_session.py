"""Everything that trains one run, from its blueprint: learner, collector, evaluator, journals, checkpoints.

Tests: tests/training/test_loop.py, tests/faults/test_state.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.memory import transitions_allocated
from composer.replay.storage import Storage
from composer.spec.stages import stage
from composer.training.assemble.kept_programs import keep_programs
from composer.training.assemble.start_upload import start_upload
from composer.training.collect.build import CollectorParts, runtime_of
from composer.training.collect.replay_placement import recorded_placement
from composer.training.compile import capture as compiling
from composer.training.compile_ahead import BackgroundCompiler
from composer.training.diagnose.recorder import Recorder
from composer.training.evaluation import Evaluator
from composer.training.learner import Learner
from composer.training.runs.best import AGENT_ONLY
from composer.training.runs.checkpoint import Checkpoints, Snapshot
from composer.training.session import Session
from composer.training.surgery.apply import Event, Surgery
from composer.training.surgery.effects import Record
from composer.training.time_left import TimeLeft

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.blueprint.forecast.clock import Clock
    from composer.tracking.journal import Journal
    from composer.training.collect.base import TransitionSource
    from composer.training.runs.directory import Run


def make_session(
    blueprint: Blueprint, run: Run, device: str, choice: compiling.Choice, journal: Journal, timing: Journal
) -> Session:
    """The session of an open run, neither begun nor restored."""
    stage("building networks")
    clock, learner = clock_of(blueprint), Learner(blueprint.agent, device, choice)
    stage("building environments" if blueprint.environment.is_simulator else "loading the data")
    collecting = CollectorParts(
        algorithm=blueprint.algorithm,
        sampling=blueprint.replay.sampling,
        capacity=transitions_allocated(blueprint),
        warmup=clock.warmup,
        overlap=blueprint.training.overlap,
        storage=Storage(device, recorded_placement(run.facts).storage, run.path),
    )
    session = Session(
        seeds=blueprint.seeds,
        metric=blueprint.environment.evaluation_metric(),
        training=blueprint.training,
        evaluation=blueprint.evaluation,
        checkpoint=blueprint.checkpoint,
        updates_per_call=blueprint.compute.updates_per_call,
        learner=learner,
        collector=runtime_of(blueprint.environment).collector(learner, collecting),
        evaluator=make_evaluator(blueprint, blueprint.evaluation.episodes, device),
        clock=clock,
        journal=journal,
        timing=timing,
        upload=lambda: start_upload(blueprint, run, session.collector.data_digest()),
        films=blueprint.tracking.wants_films,
        checkpoints=Checkpoints(run.path, blueprint.checkpoint.keep, run.facts),
        diagnostics=Recorder(blueprint.diagnostics, blueprint.agent, device),
    )
    _watch_compiling(session, choice, blueprint, run, device)

    session.time_left = _time_left(blueprint, clock)
    written = session.record_firing, session.collector.replay, session.record_effects
    session.surgery = make_surgery(blueprint, learner, *written)
    session.collector.switched = session.surgery.switched
    return session


def _time_left(blueprint: Blueprint, clock: Clock) -> TimeLeft:
    """The plan of a run: what it repeats, and how many interactions an evaluation has the length of."""
    environment, diagnostics = blueprint.environment, blueprint.diagnostics
    every = {"evaluation": blueprint.evaluation.every, "checkpoint": blueprint.checkpoint.every}
    if diagnostics.measures:
        every["diagnostics"] = min(diagnostics.every_of(each) for each in diagnostics.measures)
    length = environment.info.episode_interactions if environment.is_simulator else 0
    # Episodes are stepped together: ten took 3.7 times as long as one on cartpole-swingup.
    wide = blueprint.evaluation.episodes / environment.copies_per_seed
    return TimeLeft(clock, blueprint.training.env_steps, every, length * max(wide, 1.0) ** 0.5)


def _watch_compiling(session: Session, choice: compiling.Choice, blueprint: Blueprint, run: Run, device: str) -> None:
    """Note a compiler that fails, now or later; compile in another process where that is the choice."""
    if choice.failed is not None:
        session.note_compile_failure(choice.failed)
    session.learner.compile_failed = session.note_compile_failure
    if choice.in_background:
        session.compiler = BackgroundCompiler(run.path, device)
    if choice.compiled or session.compiler is not None:
        keep_programs(session.learner, blueprint, lambda text: session.say(text))


@contextmanager
def undo_on_error(*actions: Callable[[], object]) -> Iterator[None]:
    """Call ``actions`` in order if the block raises; what they raise themselves is a note to its error."""
    try:
        yield
    except BaseException as error:
        for action in actions:
            try:
                action()
            except Exception as another:
                error.add_note(f"and then {type(another).__name__}: {another}")
        raise


def make_evaluator(blueprint: Blueprint, episodes: int, device: str) -> Evaluator:
    """The evaluator of agents of ``blueprint``: ``episodes`` episodes per seed, or the data of its task."""
    batch_size = blueprint.algorithm.batch_size
    return runtime_of(blueprint.environment).evaluator(blueprint.seeds, episodes, batch_size, device)


def restored_learner(blueprint: Blueprint, snapshot: Snapshot, device: str) -> Learner:
    """The agent of a checkpoint, not compiled."""
    choice = compiling.Choice(False, "nothing is trained here")
    learner = Learner(blueprint.agent, device, choice)
    # Weights alone are not enough: interventions may have changed what the networks are.
    make_surgery(blueprint, learner, lambda *_: None).restore(snapshot.tensors)
    fresh = learner.tensors() if snapshot.values.get(AGENT_ONLY) else {}  # Optimizers, which nothing reads here.
    learner.load({**fresh, **snapshot.tensors})
    learner.interactions.fill_(max(snapshot.values["interactions"] - 1, 0))
    return learner


def make_surgery(
    blueprint: Blueprint,
    learner: Learner,
    record: Callable[[int, Event], None],
    samples: TransitionSource | None = None,
    record_metrics: Record = lambda seed, metrics: None,
) -> Surgery:
    """The interventions of a blueprint on a learner; other arguments as those of ``Surgery``."""
    return Surgery(
        blueprint.interventions,
        blueprint.agent,
        learner,
        lengths_of(blueprint),
        record,
        blueprint.training.log_every,
        samples,
        record_metrics,
    )
