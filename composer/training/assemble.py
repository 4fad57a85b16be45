"""Assembling: from a valid blueprint, or a run directory, to everything that a run is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from composer.blueprint import digest as blueprint_digest
from composer.blueprint import flatten
from composer.blueprint.forecast.clock import clock_of, lengths_of
from composer.blueprint.forecast.memory import allocated, transitions_allocated
from composer.replay.storage import Storage
from composer.spec.errors import ComposerError
from composer.tracking.journal import Journal, read
from composer.tracking.uploader import Uploader
from composer.training.collect.build import CollectorParts, runtime_of
from composer.training.collect.replay_placement import ReplayPlacement, choose_placement, recorded_placement
from composer.training.compile import capture as compiling
from composer.training.compile.cache import use_cache
from composer.training.compile_ahead import BackgroundCompiler
from composer.training.compile_measured import calibrate
from composer.training.diagnose.recorder import Recorder
from composer.training.evaluation import Evaluator
from composer.training.learner import Learner
from composer.training.runs import directory as runs
from composer.training.runs import provenance
from composer.training.runs.checkpoint import Checkpoints, Snapshot
from composer.training.session import Session
from composer.training.surgery.apply import Event, Surgery

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.environments.interface import EnvironmentInfo
    from composer.training.collect.base import TransitionSource


class NotTheSame(ComposerError, RuntimeError):
    """A run cannot be resumed exactly here: something that its numbers depend on has changed. The message lists it."""

    exit_code = 2


def device_for(name: str) -> str:
    """``auto`` to ``cuda`` where there is one, else ``cpu``; raises Unavailable for a GPU that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise compiling.Unavailable("compute.device is 'cuda', but torch sees no GPU here")
    return name


def start(blueprint: Blueprint, directory: Path, variant: str | None) -> tuple[runs.Run, Session]:
    """A new run under ``directory``: its folder is written, nothing has been stepped."""
    device = set_up(blueprint)
    run, session = create(blueprint, directory, variant, device, choose(blueprint, device))
    session.collector.begin()
    return run, session


def create(
    blueprint: Blueprint,
    directory: Path,
    variant: str | None,
    device: str,
    choice: compiling.Choice,
    fork: Mapping[str, Any] | None = None,
    beside: Sequence[str] = (),
    stored: ReplayPlacement | None = None,
) -> tuple[runs.Run, Session]:
    """A new run directory and what its run is made of, neither begun nor restored.

    ``fork`` says from where the run goes on, if not from nothing; its provenance hash covers that too. ``beside`` are
    the variants that are trained in the same program; ``stored`` says where the replay lies, if that is known already.
    """
    stored = stored or choose_placement(blueprint.replay.storage, allocated(blueprint), device, directory)
    info = blueprint.environment.info
    fingerprint = provenance.fingerprint(device, blueprint.requires, choice.compiled)
    origin = {} if fork is None else {"fork": fork}
    facts: dict[str, Any] = {
        "name": blueprint.name,
        "variant": variant,
        "task": blueprint.environment.title,
        "algorithm": blueprint.algorithm.kind,
        "seeds": list(blueprint.seeds),
        "hash": provenance.provenance_hash(blueprint_digest(blueprint), fingerprint | origin | stored.decides(device)),
        "git_commit": provenance.git_commit(),
        "fingerprint": fingerprint,
        "device": device,
        "compiled": choice.compiled,
        "compile_reason": choice.reason,
        **stored.facts(),
    }
    if beside:
        facts["beside"] = list(beside)
    run = runs.create(directory, blueprint, facts | origin, parameter_table(blueprint))
    journal, timing = Journal(run.path / "journal.jsonl"), _timing(run.path)
    return run, _session(run, info, device, choice, journal, timing)


def resume(path: Path, inexact: bool = False) -> tuple[runs.Run, Session, list[str]]:
    """A run as its newest good checkpoint left it, and what to tell about it.

    Raises RunUnusable, CheckpointDamaged (there are checkpoints, and none is good) and, unless ``inexact``, NotTheSame.
    """
    run = runs.open_run(path)
    try:
        session, notes = _restored(run, inexact)
    except BaseException:
        run.close()
        raise
    return run, session, notes


def _restored(run: runs.Run, inexact: bool) -> tuple[Session, list[str]]:
    device = set_up(run.blueprint, str(run.facts["device"]))
    notes = _compare(run, device, inexact)
    info = run.blueprint.environment.info
    choice = compiling.Choice(bool(run.facts["compiled"]), str(run.facts["compile_reason"]))
    checkpoints = Checkpoints(run.path, run.blueprint.checkpoint.keep)
    snapshot = checkpoints.load() if checkpoints.steps() else None
    if snapshot is None and "fork" in run.facts:
        raise runs.RunUnusable(f"{run.path} is a fork without a checkpoint: where it began is not known; fork again")
    session = _session(run, info, device, choice, _journal(run.path, snapshot), _timing(run.path))
    session.checkpoints = checkpoints
    if snapshot is None:
        notes.append("no checkpoint had been written yet: starting from step 0")
        session.collector.begin()
    else:
        notes += [f"skipped a damaged checkpoint: {damage}" for damage in snapshot.skipped]
        session.restore(snapshot)
        checkpoints.discard_after(session.clock.env_steps)
    return session, notes


def agent(path: Path, at: int | None = None) -> tuple[Blueprint, Learner, Snapshot]:
    """The agent of a run's newest good checkpoint, or of that of environment step ``at``, for reading only.

    Neither lock nor journal is touched.
    """
    runs.read_facts(path)
    blueprint = runs.read_blueprint(path)
    device = set_up(blueprint)
    snapshot = Checkpoints(path).load(at)
    return blueprint, learner_of(blueprint, snapshot, device), snapshot


def learner_of(blueprint: Blueprint, snapshot: Snapshot, device: str) -> Learner:
    """The agent of a checkpoint, not compiled."""
    choice = compiling.Choice(False, "nothing is trained here")
    learner = Learner(blueprint.agent, device, choice)
    # Weights alone are not enough: interventions may have changed what the networks are.
    surgery_of(blueprint, learner, lambda *_: None).restore(snapshot.tensors)
    learner.load(snapshot.tensors)
    return learner


def surgery_of(
    blueprint: Blueprint, learner: Learner, tell: Callable[[int, Event], None], samples: TransitionSource | None = None
) -> Surgery:
    """The interventions of a blueprint on a learner; other arguments as those of ``Surgery``."""
    return Surgery(blueprint.interventions, blueprint.agent, learner, lengths_of(blueprint), tell, samples)


def start_uploading(session: Session, run: runs.Run) -> None:
    """Start the process that sends the journal to MLflow; training never waits for it."""
    facts = run.facts
    tags = {
        "variant": facts["variant"] or "base",
        "task": facts["task"],
        "algorithm": facts["algorithm"],
        "composer.hash": facts["hash"],
        "composer.run_id": facts["run_id"],
        "composer.forked_from": facts["fork"]["from"] if "fork" in facts else None,
        "mlflow.source.git.commit": facts["git_commit"],
    }
    session.uploader = Uploader.start(run.path, run.blueprint.tracking, flatten(run.blueprint), tags, run.path.parent)


def parameter_table(blueprint: Blueprint) -> dict[str, Any]:
    """Every parameter by network: shape and initialiser of one copy, and how many copies and seeds there are."""
    table: dict[str, Any] = {}
    for role, outline in blueprint.agent.sound_outlines.items():
        network = blueprint.networks[role]
        table[role] = {
            "copies": network.copies,
            "count": outline.count() * network.copies,
            "parameters": {
                path: {"shape": list(plan.shape), "initializer": plan.initializer.kind, "trainable": plan.trainable}
                for path, plan in outline.named_parameters()
            },
        }
    return table


def set_up(blueprint: Blueprint, device: str | None = None) -> str:
    """Set what is set once a process: threads, precision, the cache. Returns the device that a run computes on."""
    compute = blueprint.compute
    if compute.threads:
        torch.set_num_threads(compute.threads)
    torch.set_float32_matmul_precision("high" if compute.precision == "tf32" else "highest")
    # Convolutions on GPUs have a switch of their own, which torch leaves on.
    torch.backends.cudnn.allow_tf32 = compute.precision == "tf32"
    found = device_for(device or compute.device)
    use_cache(blueprint, found)
    return found


def choose(blueprint: Blueprint, device: str) -> compiling.Choice:
    """Whether updates of a whole run of ``blueprint`` are compiled."""
    if blueprint.compute.compile == "measured":
        return calibrate(blueprint, device)
    updates = clock_of(blueprint).updates_by(blueprint.training.env_steps)
    return compiling.choose(blueprint.compute.compile, device, updates)


def _journal(path: Path, snapshot: Snapshot | None) -> Journal:
    """Continue the journal from where the checkpoint left it, from its beginning where there is none."""
    journal = path / "journal.jsonl"
    if snapshot is None:
        journal.touch()
        return Journal.resume(journal, 0)
    return Journal.resume(journal, int(snapshot.values["journal_offset"]))


def _timing(path: Path) -> Journal:
    """Continue the journal of wall-clock times after its last whole row; it is not part of the state."""
    timing = path / "timing.jsonl"
    timing.touch()
    reader = read(timing)
    for _ in reader:
        pass
    return Journal.resume(timing, reader.offset, clock=time.time)


def _session(
    run: runs.Run, info: EnvironmentInfo, device: str, choice: compiling.Choice, journal: Journal, timing: Journal
) -> Session:
    blueprint = run.blueprint
    clock, learner = clock_of(blueprint), Learner(blueprint.agent, device, choice)
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
        training=blueprint.training,
        evaluation=blueprint.evaluation,
        checkpoint=blueprint.checkpoint,
        updates_per_call=blueprint.compute.updates_per_call,
        device=device,
        learner=learner,
        collector=runtime_of(blueprint.environment).collector(learner, collecting),
        evaluator=evaluator(blueprint, blueprint.evaluation.episodes, device),
        clock=clock,
        journal=journal,
        timing=timing,
        uploader=Uploader(run.path, None),
        checkpoints=Checkpoints(run.path, blueprint.checkpoint.keep),
        diagnostics=Recorder(blueprint.diagnostics, blueprint.agent, device),
    )
    if blueprint.compute.compile == "background" and compiling.missing_for_compiling() is None:
        session.compiler = BackgroundCompiler(run.path, device)
    tell, samples = partial(_record_event, session), session.collector.replay
    session.surgery = surgery_of(blueprint, learner, tell, samples)
    session.collector.switched = session.surgery.switched
    return session


def evaluator(blueprint: Blueprint, episodes: int, device: str) -> Evaluator:
    """What scores agents of ``blueprint``: ``episodes`` episodes per seed, or the data of its task."""
    batch_size = blueprint.algorithm.batch_size
    return runtime_of(blueprint.environment).evaluator(blueprint.seeds, episodes, batch_size, device)


def _record_event(session: Session, seed: int, event: Mapping[str, Any]) -> None:
    """Append what was done to the networks of one seed (its index)."""
    session.record("event", seed=session.seeds[seed], **event)


def differences(facts: Mapping[str, Any], blueprint: Blueprint, device: str) -> list[str]:
    """What a run's numbers depend on and is not as it was when the run of ``facts`` began."""
    then: Mapping[str, Any] = facts["fingerprint"]
    now = provenance.fingerprint(device, blueprint.requires, bool(facts["compiled"]))
    # Also what only one of them knows: a run whose products were oneDNN's does not go on exactly where they are MKL's.
    return [
        f"{name}: {then.get(name)} then, {now.get(name)} now"
        for name in {**now, **then}
        if then.get(name) != now.get(name)
    ]


def _compare(run: runs.Run, device: str, inexact: bool) -> list[str]:
    changed = differences(run.facts, run.blueprint, device)
    if "beside" in run.facts:
        changed.append(f"program: shared with {', '.join(run.facts['beside'])} then, its own now")
    if changed and not inexact:
        raise NotTheSame(
            f"this run cannot be resumed exactly ({'; '.join(changed)}); --inexact continues it all the same"
        )
    return [f"resumed inexactly: {line}" for line in changed]
