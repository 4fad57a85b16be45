"""Processor time of an update against width, depth, batch, seeds, size of the replay and number of interventions.

Every figure is the median of laps in turns, eager, one thread. Tests: tests/benchmarks/test_growth.py.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from composer.blueprint import Blueprint, load
from composer.blueprint.syntax.extends import shipped
from composer.training import assemble
from composer.training.loop import training_steps
from composer.training.session import Session
from composer.training.timing import in_turns, lap

QUIET: Final = ("tracking.kind=none", "compute.compile=never", "compute.threads=1", "seeds=[0]")
LONG: Final = (
    "training.env_steps=10_000_000",
    "evaluation.every=10_000_000",
    "checkpoint.every=10_000_000",
    "algorithm.warmup_interactions=300",
    "replay.capacity=20_000",
)
WIDTH: Final = 256


def _mlp(width: int, depth: int) -> tuple[str, ...]:
    return tuple(f"networks.{role}.trunk={{use='mlp', width={width}, depth={depth}}}" for role in ("actor", "critic"))


def _remedies(count: int) -> tuple[str, ...]:
    """Interventions that are due now and then and change next to nothing: what it costs to have them."""
    when = "{ kind = 'every', interval = 1_000, clock = 'update' }"
    one = f"{{ when = {when}, where = ['critic.head.*'], do = {{ kind = 'perturb' }} }}"
    each = (f"r{number} = {one}" for number in range(count))
    return (f"interventions={{ {', '.join(each)} }}",) if count else ()


AXES: Final[Mapping[str, Mapping[int, tuple[str, ...]]]] = {
    "width": {width: _mlp(width, 2) for width in (64, 128, 256, 512, 1024)},
    "depth": {depth: _mlp(WIDTH, depth) for depth in (1, 2, 4, 8)},
    "batch": {batch: (f"algorithm.batch_size={batch}",) for batch in (64, 256, 1024)},
    "seeds": {seeds: (f"seeds={list(range(seeds))}",) for seeds in (1, 2, 4, 8)},
    "replay": {rows: (f"replay.capacity={rows}",) for rows in (10_000, 100_000, 1_000_000)},
    "interventions": {count: _remedies(count) for count in (0, 1, 4, 16)},
}


def declared(overrides: tuple[str, ...]) -> Blueprint:
    """SAC with an MLP on walker-walk, as the page measures it, under overrides."""
    return load(shipped()["dmc/sac_mlp"], [*QUIET, *LONG, *overrides]).blueprint


@contextmanager
def stepped(blueprint: Blueprint, updates: int = 2) -> Iterator[tuple[Session, Callable[[], None]]]:
    """A session beyond its warm-up, and the call that makes one interaction with its updates."""
    with tempfile.TemporaryDirectory() as folder:
        run, session = assemble.start(blueprint, Path(folder), None)
        steps = training_steps(session)

        def step() -> None:
            while batches := next(steps):
                session.learner.learn(batches)

        try:
            while session.clock.updates < updates:
                step()
            yield session, step
        finally:
            session.close()
            run.close()


def measure(axis: str, rounds: int = 3, seconds: float = 1.0) -> list[dict[str, Any]]:
    """A row per place on an axis: processor milliseconds of an interaction with its update, median, lowest, highest."""
    with ExitStack() as stack:
        calls = {place: stack.enter_context(stepped(declared(more)))[1] for place, more in AXES[axis].items()}
        rates = in_turns(
            {place: partial(lap, call, seconds, lambda: None, time.process_time) for place, call in calls.items()},
            rounds,
        )
    rows = []
    for place, found in rates.items():
        costs = [1e3 / each.rate for each in found]
        rows.append({"axis": axis, "place": place, "ms": median(costs), "lowest": min(costs), "highest": max(costs)})
    return rows
