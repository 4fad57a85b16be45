"""``composer ablate``: train the arms, and the table of what each component adds.

Tests: tests/studies/ablation/test_ablate.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.blueprint.inspect.components import Component
from composer.blueprint.syntax.notation import experiment
from composer.spec.interval import LEAST, LEVEL, method
from composer.studies.ablation.arms import BARE, FULL, Arms, arms
from composer.studies.ablation.effects import Effect, effect, judged
from composer.studies.ablation.report import figures, sentence
from composer.studies.ablation.scores import SCORES, SHARE_OF_SCALE, Score, TaskScores, read_scores
from composer.studies.execution.engine import Outcome, train_all
from composer.studies.statistics import coverage_notes
from composer.studies.study.points import StudyRun

ALL_TASKS = "all tasks"
"""The column over several tasks, in shares of the scale of each."""
COLUMNS = ("leave_one_out", "add_one_in")


def plan(found: Arms) -> dict[str, Any]:
    """What would be trained: arms with their overrides, and what is left out."""
    runs = found.runs[FULL]
    return {
        "status": "planned",
        "agent": found.experiment.path.stem,
        "metric": runs[0].blueprint.environment.metric,
        "seeds": list(found.seeds),
        "tasks": [run.task for run in runs],
        "components": [{"component": each.key, "kind": each.kind} for each in found.components],
        "skipped": [each.as_dict() for each in found.skipped],
        "runs": [_planned(arm, run) for arm, each in found.runs.items() for run in each],
    }


def ablate(
    file: str,
    overrides: Sequence[str],
    variants: Sequence[str],
    seeds: int,
    tasks: Sequence[str] = (),
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    add: bool = False,
    margin: float | None = None,
    runs_dir: Path = Path("runs"),
    folder: Path | None = None,
    jobs: int = 1,
    say: Callable[[str], None] = print,
    first_seed: int = 0,
) -> dict[str, Any]:
    """Ablate the agent that the arguments name: the table, also as files in the study's folder.

    Raises BlueprintError of the agent, Refused where nothing can be ablated or the agent itself fails, and what
    ``train_all`` raises.
    """
    chosen = experiment(file, overrides, variants)
    found = arms(chosen, range(first_seed, first_seed + seeds), tasks, only, skip, add)
    for each in found.skipped:
        say(f"left out: {each.component.name}, {each.why}")
    name = found.runs[FULL][0].blueprint.name
    where = folder or runs_dir.parent / "studies" / f"ablate-{name}"
    runs = [run for each in found.runs.values() for run in each]
    outcomes = train_all(runs, where, runs_dir, say, jobs)
    table = answer(found, outcomes, margin)
    figures(table, where)
    return {**table, "folder": str(where)}


def answer(found: Arms, outcomes: Sequence[Outcome], margin: float | None) -> dict[str, Any]:
    """The table of effects of trained arms."""
    notes: list[str] = []
    tasks = read_scores(found, outcomes, notes)
    margins = {each.task: SHARE_OF_SCALE * each.scale if margin is None else margin for each in tasks}
    columns = {"leave_one_out": {each.key: (FULL, found.without(each)) for each in found.components}}
    if BARE in found.runs:
        columns["add_one_in"] = {each.key: (found.only(each), BARE) for each in found.components}
    cells = {name: _column(pairs, tasks, margins) for name, pairs in columns.items()}
    rows = [_row(each, found, cells, tasks) for each in found.components]
    notes += [f"left out: {each.component.name}, {each.why}" for each in found.skipped]
    notes += coverage_notes(len(found.seeds), "pairs of seeds")
    if len(found.seeds) < LEAST:
        notes.append(f"with fewer than {LEAST} seeds there is no interval, and so no verdict")
    table = {
        **plan(found),
        "status": "finished",
        "margins": margins,
        "method": f"{method('paired differences of seeds')}; verdicts by Holm over {len(rows)} components",
        "level": LEVEL,
        "components": rows,
        "runs": _runs(found, outcomes),
        "notes": notes,
    }
    return {**table, "sentence": sentence(table)}


def _column(
    pairs: Mapping[str, tuple[str, str]], tasks: Sequence[TaskScores], margins: Mapping[str, float]
) -> dict[str, dict[str, dict[Score, Effect]]]:
    """Effects by component, then by task, then by score; verdicts beside those of the other components."""
    found: dict[str, dict[str, dict[Score, Effect]]] = {key: {} for key in pairs}
    groups = {each.task: [each] for each in tasks}
    if len(tasks) > 1:
        groups[ALL_TASKS] = list(tasks)
    for name, members in groups.items():
        scales = [1.0 if len(members) == 1 else each.scale for each in members]
        within = [margins[each.task] / scale for each, scale in zip(members, scales, strict=True)]
        for score in SCORES:
            effects: dict[str, Effect] = {}
            for key, (more, less) in pairs.items():
                each = [task.difference(more, less, score) for task in members]
                known = [one / scale for one, scale in zip(each, scales, strict=True) if one is not None]
                if len(known) == len(members):
                    effects[key] = effect(known, within)
            for key, verdict in zip(effects, judged([*effects.values()]), strict=True):
                found[key].setdefault(name, {})[score] = verdict
    return found


def _row(
    component: Component,
    found: Arms,
    cells: Mapping[str, Mapping[str, Mapping[str, Mapping[Score, Effect]]]],
    tasks: Sequence[TaskScores],
) -> dict[str, Any]:
    """A component's row: its effects, its verdict, and whether its intervention ever fired."""
    whole = tasks[0].task if len(tasks) == 1 else ALL_TASKS
    row: dict[str, Any] = {"component": component.key, "kind": component.kind, "name": component.name}
    for column in COLUMNS:
        by_task = cells.get(column, {}).get(component.key, {})
        row[column] = {
            task: {score: each.as_dict() for score, each in scores.items()} for task, scores in by_task.items()
        } or None
    first = cells["leave_one_out"][component.key].get(whole, {}).get("final")
    row["verdict"] = first.verdict if first else "failed"
    if component.path[0] == "interventions":
        row["fired"] = sum(task.fired.get(FULL, {}).get(str(component.path[-1]), 0) for task in tasks)
        if not row["fired"]:
            row["verdict"] = "never fired"
    arm = found.without(component)
    row["diverged_without"] = [task.task for task in tasks if arm in task.diverged]
    return row


def _runs(found: Arms, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    ends = iter(outcomes)
    rows = []
    for arm, runs in found.runs.items():
        for run in runs:
            end = next(ends)
            where = None if end.directory is None else str(end.directory)
            rows.append({**_planned(arm, run), "status": end.status, "run": where})
    return rows


def _planned(arm: str, run: StudyRun) -> dict[str, Any]:
    return {"arm": arm, "task": run.task, "command": shlex.join(["composer", "train", *run.arguments])}
