"""The rows of a small run, and what an MLflow store must hold of them in the end."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from composer.tracking.journal import Journal, JournalRow
from composer.tracking.records import Tracking

SEEDS = [3, 5]
STEPS = 8


def new_run(
    path: Path, run_id: str = "r-1", tags: Mapping[str, str] | None = None, metrics: Sequence[str] = (), **facts: object
) -> Path:
    """A run directory whose journals are still empty, tracked in the embedded store beside its parent."""
    path.mkdir(parents=True)
    run = {"run_id": run_id, "name": "sac", "seeds": SEEDS, "variant": "reset", "task": "walker-walk"}
    (path / "run.json").write_text(json.dumps(run | facts))
    (path / "blueprint.toml").write_text('name = "sac"\n')
    (path / "parameters.json").write_text("{}")
    Tracking(
        uri=None,
        source="embedded",
        experiment="composer",
        system_metrics=True,
        parameters={"algorithm": {"kind": "sac", "note": "x" * 7000}},
        tags={"algorithm": "sac", "composer.hash": "abc"} | dict(tags or {}),
        metrics=list(metrics),
    ).save(path)
    return path


def rows(first: int = 0, last: int = STEPS) -> list[JournalRow]:
    """The journal of a small run: two seeds, three metrics, an infinity and an event."""
    found: list[JournalRow] = []
    for step in range(first, last):
        for seed in SEEDS:
            values = {
                "critic/loss": seed / (step + 1),
                "actor/loss": float("inf") if step == 2 else -0.5,
                "return": 1.0 * step,
            }
            found.append({"type": "metrics", "env_step": 100 * step, "seed": seed, "metrics": values})
        if step == 4:
            found.append({"type": "event", "env_step": 100 * step, "name": "reset", "data": {"norm": float("nan")}})
    return found


def timing(first: int = 0, last: int = STEPS, speed: float = 50.0) -> list[JournalRow]:
    """The timing journal of the same run."""
    return [
        {"type": "timing", "env_step": 100 * step, "seed": None, "metrics": {"updates_per_second": speed + step}}
        for step in range(first, last)
    ]


def expected(last: int = STEPS) -> dict[tuple[str, str, int], float]:
    """(run, metric, step): value of all that the store must hold in the end. Two seeds have no interval."""
    points: dict[tuple[str, str, int], float] = {}
    for index in range(last):
        step = 100 * index
        low, high = SEEDS[0] / (index + 1), SEEDS[1] / (index + 1)
        points |= {("3", "critic/loss", step): low, ("5", "critic/loss", step): high}
        points["parent", "critic/loss", step] = (low + high) / 2
        for run in ("3", "5", "parent"):
            points[run, "actor/loss.nonfinite" if index == 2 else "actor/loss", step] = 1.0 if index == 2 else -0.5
            points[run, "return", step] = float(index)
        points["parent", "updates_per_second", step] = 50.0 + index
    return points | {("parent", "events/reset", 400): 1.0}


def append(
    path: Path, these: list[JournalRow], *, resume_at: int | None = None, clock: Callable[[], float] | None = None
) -> None:
    """Write rows to a journal, new or cut back to ``resume_at`` bytes."""
    journal = Journal(path, clock) if resume_at is None else Journal.resume(path, resume_at, clock)
    with journal:
        for row in these:
            journal.append(row)
