"""What a run says at its end of interventions that never fired. Tests: tests/training/test_unfired.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from composer.interventions.triggers import Trigger
from composer.spec.quantities import counted
from composer.tracking.journal import read

if TYPE_CHECKING:
    from composer.training.session import Session

NEVER_FIRED: Final = "never_fired"
"""Name of the event, and of the entry in ``--json``."""


def unfired(session: Session) -> list[dict[str, Any]]:
    """The interventions that have not fired for some seed, with the reason; reads the journal where a metric decides.

    Each is ``{"intervention", "seeds", "metric", "readings", "why"}``; ``metric`` names all that it watches;
    ``readings`` are the most that one seed has of one of them.
    """
    counts = {name: fired.tolist() for name, fired in session.surgery.fired.items()}
    silent = {
        name: [seed for seed, count in zip(session.seeds, each, strict=True) if not count]
        for name, each in counts.items()
    }
    triggers = {name: session.surgery.trigger(name) for name, seeds in silent.items() if seeds}
    watched = {metric for when in triggers.values() for metric in when.watched_metrics()}
    values = _values(session, watched) if watched else {}
    return [_row(name, silent[name], when, values) for name, when in triggers.items()]


def unfired_text(row: Mapping[str, Any], seeds: int) -> str:
    """A line for people; it names the seeds where it fired for others of all ``seeds``."""
    listed = ", ".join(map(str, row["seeds"]))
    some = f" for {'seed' if len(row['seeds']) == 1 else 'seeds'} {listed}" if len(row["seeds"]) < seeds else ""
    return f"interventions.{row['intervention']} never fired{some}: {row['why']}"


def _values(session: Session, watched: set[str]) -> dict[tuple[str, int], list[float]]:
    """Values of metrics by name and seed, in the journal of this run."""
    session.flush()
    found: dict[tuple[str, int], list[float]] = {}
    for row in read(session.journal.path):
        if row["type"] == "metrics" and row["seed"] is not None:
            for metric in watched & row["metrics"].keys():
                found.setdefault((metric, row["seed"]), []).append(row["metrics"][metric])
    return found


def _row(
    name: str, seeds: Sequence[int], when: Trigger, values: Mapping[tuple[str, int], Sequence[float]]
) -> dict[str, Any]:
    metrics = when.watched_metrics()
    read_by = {metric: [values.get((metric, seed), ()) for seed in seeds] for metric in metrics}
    said = ", ".join(f"{metric} was {_readings(each)}" for metric, each in read_by.items())
    why = f"{said}, and it fires {when.condition()}" if metrics else "the run ended before its first moment"
    readings = max((len(each) for column in read_by.values() for each in column), default=0)
    metric = ", ".join(metrics) or None
    return {"intervention": name, "seeds": list(seeds), "metric": metric, "readings": readings, "why": why}


def _readings(read_by: Sequence[Sequence[float]]) -> str:
    every = [value for values in read_by for value in values]
    if not every:
        return "never written"
    fewest, most = min(map(len, read_by)), max(map(len, read_by))
    times = counted(most, "time") if fewest == most else f"{fewest} to {most} times"
    return f"read {times}, from {min(every):.4g} to {max(every):.4g}"
