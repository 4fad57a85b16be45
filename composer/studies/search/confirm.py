"""Train the best trials again, with seeds that did not choose them. Tests: tests/studies/search/test_search.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from composer.studies import Refused
from composer.studies.execution.outcome import Outcome
from composer.studies.search.search import Train
from composer.studies.search.subject import Subject
from composer.studies.statistics import Scores, difference
from composer.tracking.records import JOURNAL
from composer.training.runs.results import read_metrics


def fresh_seeds(subject: Subject, count: int) -> tuple[int, ...]:
    """The ``count`` seeds after the highest one of the search: the same ones whenever it is asked."""
    first = max(subject.seeds) + 1
    return tuple(range(first, first + count))


def confirm(subject: Subject, chosen: Sequence[dict[str, Any]], seeds: Sequence[int], train: Train) -> dict[str, Any]:
    """Train ``chosen`` trials, rows of a report, with other ``seeds``; their scores, the best first.

    A trial of which a run fails has no score. Raises BlueprintError.
    """
    rows, scores = [], {}
    for row in chosen:
        number = int(row["trial"])
        outcomes = train(subject.runs(row["values"], number, seeds))
        found = _scores(subject, outcomes)
        if found is not None:
            scores[number] = found
        rows.append(
            {
                "trial": number,
                "values": row["values"],
                "searched": row["score"],
                "score": None if found is None else found.iqm().as_dict(),
                "runs": [str(each.directory) for each in outcomes if each.directory is not None],
                "message": next((each.message for each in outcomes if each.exit_code), ""),
            }
        )
    sign = -1 if subject.table.maximise else 1
    rows.sort(key=lambda row: (row["score"] is None, sign * row["score"]["value"] if row["score"] else 0.0))
    return {"seeds": list(seeds), "trials": rows, "gain": _gain(rows, scores)}


def _gain(rows: Sequence[dict[str, Any]], scores: dict[int, Scores]) -> dict[str, Any] | None:
    """How much better the best trial is than trial 0, which has the blueprint's own values; None without it."""
    best = int(rows[0]["trial"])
    if best == 0 or not {0, best} <= scores.keys():
        return None
    return difference(scores[best], scores[0]).as_dict()


def _scores(subject: Subject, outcomes: Sequence[Outcome]) -> Scores | None:
    tasks = []
    for each in outcomes:
        if each.exit_code or each.directory is None:
            return None
        metric = subject.metric
        series = read_metrics(each.directory / JOURNAL, each.run.blueprint.seeds, only=metric).get(metric)
        if series is None:
            raise Refused(f"{each.directory} has no {metric}")
        tasks.append(series.values[:, -1])
    return Scores.of(*tasks)
