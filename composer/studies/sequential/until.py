"""``composer study run --until decided``: blocks of new seeds for every agent, until each pair is decided or hopeless.

What is decided is a pure function of the finished scores in the order of blocks, and the looks are fixed before the
first seed: a study that is killed goes on by the same command to the same end.
Tests: tests/studies/sequential/test_until.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from composer.spec.quantities import counted
from composer.studies import Refused
from composer.studies.execution.engine import Outcome, train_all
from composer.studies.execution.study_run import folder_of, selected, table_of, titles
from composer.studies.execution.work import Launcher
from composer.studies.planning.limits import ensure_agreed
from composer.studies.planning.plan import plan
from composer.studies.sequential.course import Course, course
from composer.studies.sequential.permutation import DESIGN_FILE, MAX_AGENTS, Design, Floats
from composer.studies.sequential.scores import look_scores, standardised
from composer.studies.study.load import Study
from composer.studies.study.points import StudyRun, study_run

MAX_SEEDS: Final = 24
BLOCK: Final = 3
Train = Callable[[Sequence[StudyRun]], list[Outcome]]


def run_until_decided(
    study: Study,
    runs_dir: Path,
    out: Path | None,
    only: Sequence[str],
    say: Callable[[str], None],
    jobs: int = 1,
    max_seeds: int | None = None,
    block: int | None = None,
    against_first: bool = False,
    says_yes: bool = True,
    launcher: Launcher | None = None,
) -> dict[str, Any]:
    """Train a study's points with more and more seeds; returns the table of ``study run`` with ``sequential`` in it.

    Raises Refused for a design that cannot be, or another one than that with which the study was begun, and AboveLimit
    where all of its seeds cost more than the study's limits, unless somebody ``says_yes``.
    """
    runs, folder = selected(study, only), folder_of(study, runs_dir, out)
    folder.mkdir(parents=True, exist_ok=True)
    agents = list(dict.fromkeys(run.point.name for run in runs))
    design = _design(folder, agents, max_seeds, block, against_first)
    first = min(study.seeds or (0,))
    if not says_yes:
        most = [with_seeds(run, seeds) for run in runs for seeds in _blocks(design, first)]
        ensure_agreed(plan(study.name, most, runs_dir, folder, jobs, study.limits, say, is_calibrated=False)["above"])

    def train(some: Sequence[StudyRun]) -> list[Outcome]:
        return train_all(some, folder, runs_dir, say, jobs, launcher, title=titles(study), study=study.name)

    found, outcomes = until_decided(runs, design, train, say, first)
    return {**table_of(study, outcomes, folder), "sequential": found}


def until_decided(
    runs: Sequence[StudyRun], design: Design, train: Train, say: Callable[[str], None], first_seed: int = 0
) -> tuple[dict[str, Any], list[Outcome]]:
    """Add blocks of seeds to ``runs``, one per agent and task, until nothing is open; the decisions, and all outcomes.

    An agent whose pairs are all decided is trained no further. Where a run fails, the look is not made.
    """
    agents = list(dict.fromkeys(run.point.name for run in runs))
    tasks = list(dict.fromkeys(run.task for run in runs))
    by_place = {(tasks.index(run.task), agents.index(run.point.name)): run for run in runs}
    outcomes: list[Outcome] = []
    looks: list[Floats] = []
    now: Course | None = None
    lines: list[str] = []
    while now is None or not now.is_over[0]:
        seeds = _blocks(design, first_seed)[len(looks)]
        active = range(len(agents)) if now is None else now.active(design)
        block = {place: with_seeds(run, seeds) for place, run in by_place.items() if place[1] in active}
        ended = dict(zip(block, train([*block.values()]), strict=True))
        outcomes += ended.values()
        if any(end.status == "failed" for end in ended.values()):
            return {"status": "failed", "design": asdict(design), "lines": lines}, outcomes
        looks.append(look_scores(ended, (len(tasks), len(agents), design.block), seeds, looks))
        scores = standardised(looks)
        now = course(scores[..., None], design)
        lines.append(_said(now, agents, scores, design))
        say(lines[-1])
    return {**_table(now, agents, tasks, scores, design), "first_seed": first_seed, "lines": lines}, outcomes


def with_seeds(run: StudyRun, seeds: Sequence[int]) -> StudyRun:
    """The same run with other seeds."""
    others = tuple(each for each in run.arguments[1:] if not each.startswith("seeds="))
    return replace(study_run(replace(run.point, overrides=others), [*seeds]), point=run.point)


def text(table: dict[str, Any]) -> str:
    """What each look decided, the pairs, and the method."""
    found = table["sequential"]
    lines = ["", *found["lines"]]
    if found["status"] == "failed":
        return "\n".join([*lines, "a run failed: its look is made when the same command has trained it"])
    lines += ["", *(f"{each['left']} - {each['right']}: {each['verdict']}" for each in found["pairs"])]
    used = ", ".join(f"{name} {seeds}" for name, seeds in found["seeds"].items())
    return "\n".join([*lines, f"seeds: {used} of at most {found['max_seeds']}", found["method"]])


def _blocks(design: Design, first_seed: int) -> list[range]:
    """The seeds of every look."""
    begins = (first_seed + look * design.block for look in range(design.looks))
    return [range(begin, begin + design.block) for begin in begins]


def _design(
    folder: Path, agents: Sequence[str], max_seeds: int | None, block: int | None, against_first: bool
) -> Design:
    """The design, as it was when the study was begun, or as it is asked for; written down before the first seed."""
    path = folder / DESIGN_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    size = block or (known["block"] if known else BLOCK)
    most = max_seeds or (known["block"] * known["looks"] if known else MAX_SEEDS)
    if most % size:
        raise Refused(f"--max-seeds {most} is no whole number of blocks of {size} seeds")
    if len(agents) < 2:
        raise Refused("one point has nothing that it could be told apart from")
    if len(agents) > MAX_AGENTS[against_first]:
        hint = "" if against_first else ", or --against-first: the first against each other one"
        raise Refused(
            f"{len(agents)} points; at most {MAX_AGENTS[against_first]} are told apart: choose some with --only{hint}"
        )
    design = Design(most // size, size, against_first=against_first)
    asked = {"agents": [*agents], **asdict(design)}
    if known is not None and known != asked:
        differing = ", ".join(f"{key} {known.get(key)}" for key in asked if known.get(key) != asked[key])
        raise Refused(
            f"{path}: this study was begun with {differing}; looks are fixed before the first seed."
            " Give the same options, or another --out"
        )
    path.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
    return design


def _said(now: Course, agents: Sequence[str], scores: Floats, design: Design) -> str:
    """A line on the last look."""
    look = len(scores)
    pairs = [pair for pair in combinations(range(len(agents)), 2) if design.compares(*pair)]
    just = [_higher(agents, scores, pair) for pair in pairs if now.decided[pair][0] == look]
    left = counted(sum(not now.decided[pair][0] for pair in pairs), "pair")
    parts = just or ["nothing decided"]
    if not all(now.decided[pair][0] for pair in pairs):
        parts.append(f"{left} hopeless" if now.is_hopeless[0] else f"{left} open")
    return f"look {look} of {design.looks}, {look * design.block} seeds: {'; '.join(parts)}"


def _higher(agents: Sequence[str], scores: Floats, pair: tuple[int, int]) -> str:
    """Which agent of a pair scores higher, over the blocks of both."""
    one, other = pair
    apart = float(np.nanmean(scores[:, :, one] - scores[:, :, other]))
    higher, lower = (one, other) if apart > 0 else (other, one)
    return f"{agents[higher]} scores higher than {agents[lower]}"


def _table(now: Course, agents: Sequence[str], tasks: Sequence[str], scores: Floats, design: Design) -> dict[str, Any]:
    rows = []
    rest = "no difference shown; more seeds were hopeless" if now.is_hopeless[0] else "no difference shown"
    for pair in combinations(range(len(agents)), 2):
        if not design.compares(*pair):
            continue
        look = int(now.decided[pair][0])
        said = f"{_higher(agents, scores[:look], pair)}, decided with {look * design.block} seeds" if look else rest
        rows.append({"left": agents[pair[0]], "right": agents[pair[1]], "look": look or None, "verdict": said})
    is_open = any(row["look"] is None for row in rows)
    return {
        "status": "hopeless" if now.is_hopeless[0] else "out of seeds" if is_open else "decided",
        "method": (
            f"sequential permutation test (AdaStop, with closure over partitions), at most {design.looks} looks of"
            f" {design.block} seeds, family-wise error {design.alpha:.0%} over {counted(len(rows), 'pair')},"
            f" final scores over {counted(len(tasks), 'task')}"
        ),
        "design": asdict(design),
        "max_seeds": design.looks * design.block,
        "looks": int(now.looks.max()),
        "seeds": {name: int(now.looks[index, 0]) * design.block for index, name in enumerate(agents)},
        "pairs": rows,
    }
