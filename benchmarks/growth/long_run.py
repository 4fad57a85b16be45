"""Sizes on disk and seconds to resume of long runs: rows, checkpoints and store of the real run, without its steps.

The environment is not stepped and nothing is learned in between; what is written, read and sent is what such a run
writes, reads and sends. Tests: tests/benchmarks/test_growth.py.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.growth.updates import declared
from composer.blueprint import Blueprint
from composer.training import assemble
from composer.training.compile_ahead import example
from composer.training.session import Session

STEPS: Final = (100_000, 1_000_000, 10_000_000)
CHECKPOINTS: Final = 5
"""Saves of a simulated run: more than are kept."""
EVALUATED: Final = 50_000
"""Environment steps between two evaluations."""


def measure(steps: int, sends: bool = True) -> dict[str, Any]:
    """A row: megabytes of journals, checkpoints and store, and seconds to write, resume and send a run of ``steps``."""
    blueprint = declared((f"training.env_steps={steps}", "tracking.kind=mlflow"))
    with tempfile.TemporaryDirectory() as folder:
        run, session = assemble.start(blueprint, Path(folder) / "runs", None)
        began = time.process_time()
        rows = _write(session, blueprint)
        wrote = time.process_time() - began
        path = run.path
        session.close()
        run.close()
        began = time.process_time()
        run, session, _ = assemble.resume(path)
        row: dict[str, Any] = {"steps": steps, "rows": rows, "write_s": wrote, "resume_s": time.process_time() - began}
        if sends:
            row["send_s"] = _send(session)
            row["mlflow"] = _mib(Path(folder) / "mlflow")
        session.close()
        run.close()
        row |= {name: _mib(path / name) for name in ("journal.jsonl", "timing.jsonl", "checkpoints")}
    return row


def _write(session: Session, blueprint: Blueprint) -> int:
    """The rows of the whole run, with checkpoints on the way; returns how many."""
    steps, log_every = blueprint.training.env_steps, blueprint.training.log_every
    learner = session.learner
    learner.update(*example(learner, blueprint.environment.info))
    (metrics,) = learner.drain_signals()
    for number, step in enumerate(range(log_every, steps + 1, log_every)):
        session.clock.interactions = step // session.clock.stride
        shifted = {name: value + 1e-3 * number for name, value in metrics.items()}
        session.record("metrics", seed=session.seeds[0], metrics=shifted)
        session.record_speed()
        if step % EVALUATED == 0:
            session.record("metrics", seed=session.seeds[0], metrics={"evaluation/return": 1e-3 * number})
        if step % (steps // CHECKPOINTS) == 0:
            session.save()
    return session.journal.seq


def _send(session: Session) -> float:
    """Send the run to its store by the process of a run; returns the processor time of that process."""
    before = os.times()
    session.upload().finish("FINISHED", timeout=3_600)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _mib(path: Path) -> float:
    """Size of a file or a folder, in MiB."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) / 2**20
