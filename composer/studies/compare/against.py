"""Hold runs against published results: differences of means by Welch's interval, in words, with the source's protocol.

A source that gives mean, standard deviation and number of seeds gives all that Welch's interval needs. Only points at
exactly the source's environment steps are compared. Tests: tests/studies/test_against.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from composer.spec.interval import LEAST, method
from composer.spec.quantities import counted
from composer.studies import Refused
from composer.studies.compare.groups import Group
from composer.studies.compare.normalize import Scale
from composer.studies.compare.read_runs import Agent, settings
from composer.studies.compare.references import Published, PublishedScore, published
from composer.studies.compare.verdicts import ALPHA, Pair, holm, tested_text
from composer.studies.statistics import Scores, seeds_text, span


@dataclass(frozen=True)
class Meeting:
    """An agent of ours and a published method on a task, or several tasks, at one step."""

    agent: Agent
    method: str
    tasks: tuple[str, ...]
    env_step: int
    ours: Scores
    theirs: Scores

    @property
    def pair(self) -> Pair:
        """For the test between both."""
        return Pair(self.agent, Agent(self.method, None), self.ours, self.theirs, "")


def against(
    groups: Sequence[Group], scales: Mapping[str, Scale], metric: str, name: str, notes: list[str]
) -> dict[str, Any]:
    """Compare every group with the results ``NAME`` or ``NAME:METHOD,METHOD``; raises Refused where none can be met."""
    source = published(name.partition(":")[0])
    methods = source.chosen(name.partition(":")[2])
    if metric not in source.metrics:
        raise Refused(f"{source.name} has results of {', '.join(source.metrics)}, not of {metric}")
    met = [meeting for group in groups for each in methods for meeting in _meetings(group, source, each)]
    if not met:
        raise Refused(
            f"nothing to compare with {name}: {'; '.join(_why_not(group, source, methods) for group in groups)}"
        )
    families = met, _over_tasks(met, scales)
    rows, over = ([_row(each, p, len(family), source) for each, p in _corrected(family)] for family in families)
    notes += sorted({note for group in groups for note in _protocol_notes(group, source)})
    return {
        "name": source.name,
        "citation": source.citation,
        "url": source.url,
        "license": source.license,
        "protocol": source.protocol,
        "rows": rows,
        "all_tasks": over,
    }


def _meetings(group: Group, source: Published, name: str) -> list[Meeting]:
    found = []
    for step, score in source.scores[name].get(group.task, {}).items():
        if len(column := np.flatnonzero(group.curve.steps == step)):
            ours = Scores.of(group.curve.values[:, column[0]], bounds=group.curve.bounds)
            found.append(Meeting(group.agent, name, (group.task,), step, ours, _scores(score)))
    return found


def _scores(score: PublishedScore) -> Scores:
    """Scores of that mean, standard deviation and number: Welch's interval depends on nothing else."""
    values = np.arange(score.seeds) - (score.seeds - 1) / 2
    return Scores.of(score.mean + score.deviation * values / values.std(ddof=1))


def _over_tasks(met: Sequence[Meeting], scales: Mapping[str, Scale]) -> list[Meeting]:
    """Normalised scores over all tasks on which agent and method meet at a step, where there are several."""
    found = []
    for key in dict.fromkeys((each.agent, each.method, each.env_step) for each in met):
        same = [each for each in met if (each.agent, each.method, each.env_step) == key and each.tasks[0] in scales]
        if len(same) > 1:
            same.sort(key=lambda each: each.tasks)
            tasks = tuple(each.tasks[0] for each in same)
            ours, theirs = (
                Scores(tuple(_normalized(side.tasks[0], scales[task]) for task, side in zip(tasks, sides, strict=True)))
                for sides in ([each.ours for each in same], [each.theirs for each in same])
            )
            found.append(Meeting(key[0], key[1], tasks, key[2], ours, theirs))
    return found


def _normalized(scores: Any, scale: Scale) -> Any:
    return (scores - scale.low) / (scale.high - scale.low)


def _corrected(family: Sequence[Meeting]) -> list[tuple[Meeting, float]]:
    return list(zip(family, holm([meeting.pair.p for meeting in family]), strict=True))


def _row(met: Meeting, corrected: float, tests: int, source: Published) -> dict[str, Any]:
    gap, ours, theirs = met.pair.gap, met.ours.summary(), met.theirs.mean()
    is_decided = corrected <= ALPHA
    verdict = ("above" if gap.value > 0 else "below") if is_decided else "undecided"
    row = {
        "agent": str(met.agent),
        "method": met.method,
        "title": source.titles[met.method],
        "tasks": list(met.tasks),
        "env_step": met.env_step,
        "seeds": list(met.ours.seeds),
        "ours": ours,
        "published": {
            "mean": theirs.value,
            "deviation": [float(task.std(ddof=1)) for task in met.theirs.tasks],
            "seeds": list(met.theirs.seeds),
        },
        "difference": gap.as_dict(),
        "p_value": met.pair.p,
        "p_value_corrected": corrected,
        "correction": {"method": "Holm", "tests": tests},
        "verdict": verdict,
    }
    return row | {"sentence": _sentence(row, tests, source)}


def _sentence(row: Mapping[str, Any], tests: int, source: Published) -> str:
    form = ".3f" if len(row["tasks"]) > 1 else ".1f"
    seeds, gap, theirs = row["seeds"], row["difference"], row["published"]
    where = f"on {row['tasks'][0]}" if len(row["tasks"]) == 1 else f"over {len(row['tasks'])} tasks, normalised,"
    own = f"{row['agent']}, {span(row['ours'], form)} ({_seeds(seeds)})"
    deviation = f" ± {theirs['deviation'][0]:{form}}" if len(seeds) == 1 else ""
    other = f"{theirs['mean']:{form}}{deviation} ({_seeds(theirs['seeds'])}) that {source.title} published"
    words = {"above": "lies above", "below": "lies below", "undecided": "shows no difference from"}
    if min(seeds) < LEAST:
        return f"at {row['env_step']:,} {where} {own} beside the {other} for {row['title']}: too few seeds for a claim"
    return (
        f"at {row['env_step']:,} {where} {own} {words[row['verdict']]} the {other} for {row['title']}:"
        f" difference {span(gap, form)} (Welch's {method()}); {tested_text(row['p_value_corrected'], tests)}"
    )


def _seeds(counts: Sequence[int]) -> str:
    return counted(counts[0], "seed") if len(counts) == 1 else f"{seeds_text(counts)} seeds"


def _why_not(group: Group, source: Published, methods: Sequence[str]) -> str:
    steps = sorted({step for name in methods for step in source.scores[name].get(group.task, {})})
    if not steps:
        return f"it has no {group.task} for {', '.join(methods)}"
    ours = group.curve.steps
    return (
        f"it has {group.task} at {', '.join(f'{step:,}' for step in steps)} environment steps, {group.agent} at"
        f" {ours[0]:,} to {ours[-1]:,} in {counted(len(ours), 'point')}: set evaluation.every so that they meet"
    )


def _protocol_notes(group: Group, source: Published) -> list[str]:
    """Where runs were trained or evaluated in another way than the source's."""
    found = []
    for run in group.runs:
        ours = settings(run.blueprint)
        pairs = {
            "environment.action_repeat": (ours.get("environment.action_repeat", 1), source.repeat(group.task)),
            "evaluation.episodes": (ours["evaluation.episodes"], source.episodes),
        }
        other = [f"{key} {mine} instead of {their}" for key, (mine, their) in pairs.items() if mine != their]
        if other:
            found.append(f"{run.path.name} does not follow the protocol of {source.name}: {', '.join(other)}")
    return found
