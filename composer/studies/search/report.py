"""What a search found: the trials, the importance of the keys, and what the best score is worth.

Tests: tests/studies/search/test_search.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from composer.spec.interval import method
from composer.spec.quantities import counted
from composer.studies.search.search import values_text
from composer.studies.search.storage import optuna
from composer.studies.search.subject import Subject
from composer.studies.statistics import span

LEAST_FOR_IMPORTANCE = 10
"""Finished trials from which importances are computed."""
SHOWN = 20
"""So many of the best trials are in the table for people; ``--json`` has all."""


def answer(subject: Subject, trials: Sequence[Any]) -> dict[str, Any]:
    """The answer of ``composer search``, from Optuna's trials."""
    rows = [_row(subject, each) for each in trials if each.state != optuna().trial.TrialState.WAITING]
    scored = ranked(subject, rows)
    return {
        "metric": subject.metric,
        "maximise": subject.table.maximise,
        "seeds": list(subject.seeds),
        "tasks": [run.task for run in subject.plain],
        "trials": rows,
        "best": scored[0] if scored else None,
        "importance": importance(subject, trials),
        "failed": sum(row["status"] in ("failed", "stopped") for row in rows),
    }


def ranked(subject: Subject, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of finished trials, the best first; of equal ones the first that was tried."""
    sign = -1 if subject.table.maximise else 1
    return sorted((row for row in rows if row["score"] is not None), key=lambda row: sign * row["score"])


def importance(subject: Subject, trials: Sequence[Any]) -> dict[str, float]:
    """The share of the variance of scores that each space explains alone or with others, by functional ANOVA.

    Over a random forest that is fitted to the finished trials (Hutter et al., 2014). Empty for too few trials.
    """
    package = optuna()
    finished = [each for each in trials if each.state == package.trial.TrialState.COMPLETE]
    if len(finished) < LEAST_FOR_IMPORTANCE or len({each.value for each in finished}) < 2:
        return {}
    study = package.create_study(direction="maximize" if subject.table.maximise else "minimize")
    study.add_trials(finished)
    evaluator = package.importance.FanovaImportanceEvaluator(seed=subject.table.seed)
    found = package.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def _row(subject: Subject, trial: Any) -> dict[str, Any]:
    attributes = trial.user_attrs
    is_finished = attributes.get("how") == "finished" and trial.value is not None
    return {
        "trial": trial.number,
        "status": attributes.get("how", "stopped"),
        "score": trial.value if is_finished and math.isfinite(trial.value) else None,
        "values": dict(trial.params),
        "overrides": list(subject.table.overrides(trial.params)),
        "runs": attributes.get("runs", []),
        "message": attributes.get("why", ""),
    }


def text(table: dict[str, Any]) -> str:
    """The best trials in a table, the importance of the keys, and what to do next."""
    rows, best = table["trials"], table["best"]
    sign = -1 if table["maximise"] else 1
    shown = sorted((row for row in rows if row["score"] is not None), key=lambda row: sign * row["score"])
    lines = ["trial      score  values"] if shown else []
    lines += [f"{row['trial']:5}  {row['score']:9,.4g}  {values_text(row['values'])}" for row in shown[:SHOWN]]
    lines += [f"and {len(shown) - SHOWN} more"] * (len(shown) > SHOWN)
    counts = {how: sum(row["status"] == how for row in rows) for how in dict.fromkeys(row["status"] for row in rows)}
    lines.append(f"{counted(len(rows), 'trial')}: {', '.join(f'{count} {how}' for how, count in counts.items())}")
    over = f"{counted(len(table['seeds']), 'seed')} of {counted(len(table['tasks']), 'task')}"
    lines.append(f"score: interquartile mean of {table['metric']} at the end, over {over}")
    if table["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in table["importance"].items())
        lines.append(f"share of the spread of finished scores by key (functional ANOVA): {shares}")
    elif shown:
        lines.append(f"importance of the keys: from {LEAST_FOR_IMPORTANCE} finished trials on")
    lines += _next(table, best, len(rows)) if best else ["no trial has finished: there is no best one"]
    if table["failed"]:
        lines.append(f"{counted(table['failed'], 'trial')} did not end: the same command goes on with them")
    return "\n".join(lines)


def _next(table: dict[str, Any], best: dict[str, Any], count: int) -> list[str]:
    """What the best score is worth, and the commands that go on."""
    if "confirmed" in table:
        return _confirmed(table["confirmed"])
    lines = [f"best: trial {best['trial']}, {best['score']:,.4g}: {values_text(best['values'])}"]
    if count > 1:
        far, less = ("highest", "less") if table["maximise"] else ("lowest", "more")
        lines.append(
            f"biased by selection: the {far} score of {count} trials on the same seeds; expect {less} on others"
        )
    lines += [f"train it with fresh seeds: {command}" for command in table.get("train", ())]
    lines += [f"compare the best trials on fresh seeds: {table['confirm']}"] if "confirm" in table else []
    return lines


def _confirmed(found: dict[str, Any]) -> list[str]:
    """The best trials on fresh seeds, and what they gain on the blueprint."""
    seeds = counted(len(found["seeds"]), "fresh seed")
    lines = [f"on {seeds}, of each task:", f"trial   searched  confirmed ({method('seeds')} of the interquartile mean)"]
    for row in found["trials"]:
        score = span(row["score"], ",.4g") if row["score"] else f"failed: {row['message']}"
        lines.append(f"{row['trial']:5}  {row['searched']:9,.4g}  {score}  {values_text(row['values'])}")
    best = found["trials"][0]
    if found["gain"]:
        gain = span(found["gain"], "+,.4g")
        lines.append(f"trial {best['trial']} against the blueprint's own values (trial 0): {gain} in the mean")
    return lines
