"""The runs of a scaling study: series of agents that differ in one size, from a study's file or from blueprints.

Tests: tests/studies/scale/test_sizes.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from composer.blueprint import Blueprint
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.flops import update_flops
from composer.blueprint.forecast.parameters import trainable_parameters
from composer.blueprint.syntax.notation import grouped
from composer.spec.wording import listing, suggestion
from composer.studies import Refused
from composer.studies.scale.law import FEWEST_SIZES
from composer.studies.study.load import load_study, shipped_studies
from composer.studies.study.points import Point, StudyRun, Value, name_of, study_run

Against = Literal["size", "parameters", "flops"]
AGAINST: Final = ("size", "parameters", "flops")


class Ladder(NamedTuple):
    """One agent on one task at several sizes."""

    name: str
    runs: Mapping[float, StudyRun]
    """By size."""


@dataclass(frozen=True)
class Plan:
    """What is trained."""

    name: str
    size: str
    """The name of the size: an axis, or a key."""
    ladders: tuple[Ladder, ...]

    @property
    def runs(self) -> list[StudyRun]:
        """All runs, the small ones first."""
        return [run for _, run in sorted(self._sized(), key=lambda each: each[0])]

    def _sized(self) -> list[tuple[float, StudyRun]]:
        return [pair for ladder in self.ladders for pair in ladder.runs.items()]


def planned(arguments: Sequence[str], over: Sequence[str]) -> Plan:
    """The plan of a study's file, whose axis ``over`` names, or of blueprints with ``KEY=V1,V2,...``.

    Raises BlueprintError and Refused.
    """
    plan = _from_study(arguments[0], over) if is_study(arguments) else _from_blueprints(arguments, over)
    for ladder in plan.ladders:
        if len(ladder.runs) < FEWEST_SIZES:
            raise Refused(
                f"{ladder.name}: a law takes at least {FEWEST_SIZES} sizes, and {plan.size} has {len(ladder.runs)}"
            )
    if wrong := [size for ladder in plan.ladders for size in ladder.runs if size <= 0]:
        raise Refused(f"a power law takes positive sizes, and {plan.size} has {wrong[0]:g}")
    return plan


def is_study(arguments: Sequence[str]) -> bool:
    """Whether the arguments are one study."""
    if len(arguments) != 1:
        return False
    path = Path(shipped_studies().get(arguments[0], arguments[0]))
    try:
        return "study" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def abscissa(blueprint: Blueprint, size: float, against: Against) -> float:
    """What the law is over: the size itself, trained parameters of one seed, or its operations in all updates."""
    if against == "parameters":
        return float(trainable_parameters(blueprint))
    if against == "flops":
        return update_flops(blueprint) / len(blueprint.seeds) * lengths_of(blueprint).update
    return size


def _from_study(file: str, over: Sequence[str]) -> Plan:
    study = load_study(file)
    numeric = [name for name, values in study.axes.items() if _is_numeric(values)]
    if len(over) > 1 or any("=" in each for each in over):
        raise Refused("--over names one axis of a study; the axis has its values in the file")
    name = over[0] if over else numeric[0] if len(numeric) == 1 else None
    if name is None:
        raise Refused(f"{file} has {listing(numeric) or 'no'} numeric axes: name one with --over")
    if name not in numeric:
        raise Refused(f"{file} has no numeric axis {name!r}{suggestion(name, numeric)}")
    ladders: dict[str, dict[float, StudyRun]] = {}
    for run in study.runs:
        others = name_of({axis: value for axis, value in run.point.values.items() if axis != name})
        title = " on ".join(filter(None, (others, run.task if len(study.tasks) > 1 else ""))) or study.name
        ladders.setdefault(title, {})[float(run.point.values[name])] = run
    return Plan(study.name, name, tuple(Ladder(title, dict(sorted(runs.items()))) for title, runs in ladders.items()))


def _from_blueprints(arguments: Sequence[str], over: Sequence[str]) -> Plan:
    if not over:
        raise Refused("name the size and its values: --over KEY=V1,V2,V3,...")
    keys = [_key_values(each) for each in over]
    counts = {key: len(values) for key, values in keys}
    if len(set(counts.values())) > 1:
        raise Refused(f"the keys of --over change together, so they need as many values: got {counts}")
    name, numbers = keys[0][0], [_number(keys[0][0], text) for text in keys[0][1]]
    if len(set(numbers)) < len(numbers):
        raise Refused(f"--over {name}: a size is there twice")
    ladders, agents = [], grouped(arguments)
    shared = set.intersection(*(set(overrides) for _, *overrides in agents))
    for file, *overrides in agents:
        runs = {}
        for index, number in sorted(enumerate(numbers), key=lambda each: each[1]):
            changes = [f"{key}={values[index]}" for key, values in keys]
            point = Point(
                file, {name.rpartition(".")[2]: int(number) if number.is_integer() else number}, (*overrides, *changes)
            )
            runs[number] = study_run(point, ())
        ladders.append(Ladder(" ".join((file, *(each for each in overrides if each not in shared))), runs))
    return Plan(f"scale-{Path(arguments[0]).stem.partition('@')[0]}", name, tuple(ladders))


def _key_values(text: str) -> tuple[str, list[str]]:
    key, mark, values = text.partition("=")
    if not mark or not key or not all(listed := [each.strip() for each in values.split(",")]):
        raise Refused(f"--over takes KEY=V1,V2,V3,..., got {text!r}")
    return key, listed


def _number(key: str, text: str) -> float:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        raise Refused(f"--over {key}: a size is a number, got {text!r}") from None


def _is_numeric(values: Sequence[Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
