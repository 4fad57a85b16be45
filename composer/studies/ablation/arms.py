"""The arms of an ablation: the agent, the agent without each component, the bare agent, and it with each alone.

Tests: tests/studies/ablation/test_arms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from composer.blueprint import BlueprintError, load
from composer.blueprint.inspect.components import Component, components, without
from composer.blueprint.syntax.notation import UNDER, Experiment
from composer.blueprint.syntax.write import toml_value
from composer.environments.suites.task_tables import suite, suite_names
from composer.spec.wording import listing, quote, suggestion
from composer.studies import Refused
from composer.studies.study.points import Point, StudyRun, study_run

FULL, BARE = "full", "bare"
"""The agent as it is, and the agent without any component."""


@dataclass(frozen=True)
class Skipped:
    """A component that is left in every arm, or an arm that is left out, and why."""

    component: Component
    why: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"component": self.component.key, "kind": self.component.kind, "why": self.why}


@dataclass
class Arms:
    """What an ablation trains."""

    experiment: Experiment
    seeds: tuple[int, ...]
    components: list[Component] = field(default_factory=list)
    """Those that are taken out, in order."""
    runs: dict[str, list[StudyRun]] = field(default_factory=dict)
    """The runs of each arm, one per task; arms are ``full``, ``without KEY``, ``bare`` and ``only KEY``."""
    skipped: list[Skipped] = field(default_factory=list)

    def without(self, component: Component) -> str:
        """The arm that lacks one component."""
        return f"without {component.key}"

    def only(self, component: Component) -> str:
        """The arm that has one component alone."""
        return f"only {component.key}"


def arms(
    experiment: Experiment,
    seeds: Sequence[int],
    tasks: Sequence[str] = (),
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    add: bool = False,
) -> Arms:
    """The arms of an ablation; each run is checked. Raises BlueprintError of the agent itself, and Refused.

    ``only`` and ``skip`` choose components by key, by a table around it, or by kind.
    """
    blueprint = load(*experiment, is_to_run=False).blueprint
    more = [f"environment.{blueprint.environment.task_key}={toml_value(task)}" for task in tasks]
    if tasks and not blueprint.environment.task_key:
        raise Refused(f"no single key of the environment {blueprint.environment.kind} names its task: no tasks here")
    found = Arms(experiment, tuple(seeds))
    found.runs[FULL] = _runs(found, FULL, experiment.overrides, more)
    for component in _chosen(components(blueprint), only, skip):
        arm = found.without(component)
        try:
            found.runs[arm] = _runs(found, arm, without(experiment, blueprint, [component]), more)
            found.components.append(component)
        except BlueprintError as error:
            found.skipped.append(Skipped(component, f"without it: {error.problems[0].message}"))
    if not found.components:
        why = found.skipped[0].why if found.skipped else "it has no component that adds to it"
        raise Refused(f"nothing of this agent can be taken out: {why}")
    if add:
        _add_one_in(found, more)
    return found


def suite_tasks(name: str) -> tuple[str, ...]:
    """The tasks of a suite; raises Refused."""
    if name not in suite_names():
        raise Refused(f"no suite named {quote(name)}{suggestion(name, suite_names())}")
    return suite(name).tasks


def _add_one_in(found: Arms, more: Sequence[str]) -> None:
    """The bare agent, and it with each component."""
    blueprint = load(*found.experiment, is_to_run=False).blueprint
    for kept in (None, *found.components):
        arm = BARE if kept is None else found.only(kept)
        rest = [each for each in found.components if each is not kept]
        try:
            found.runs[arm] = _runs(found, arm, without(found.experiment, blueprint, rest), more)
        except BlueprintError as error:
            if kept is None:
                message = f"without all of its components this is no agent: {error.problems[0].message}"
                raise Refused(f"{message}; choose some with --only, or leave out --add") from None
            found.skipped.append(Skipped(kept, f"alone: {error.problems[0].message}"))


def _chosen(known: Sequence[Component], only: Sequence[str], skip: Sequence[str]) -> list[Component]:
    for text in (*only, *skip):
        if not any(each.is_named(text) for each in known):
            names = [name for each in known for name in (each.key, each.kind)]
            hint = suggestion(text, names) or f"; components: {listing(each.key for each in known)}"
            raise Refused(f"no component is named {quote(text)}{hint}")
    wanted = [each for each in known if not only or any(map(each.is_named, only))]
    return [each for each in wanted if not any(map(each.is_named, skip))]


def _runs(found: Arms, arm: str, overrides: Sequence[str], more: Sequence[str]) -> list[StudyRun]:
    path, _, variant = found.experiment
    file = f"{path}{UNDER}{variant}" if variant else str(path)
    point = Point(file, {"arm": arm}, tuple(overrides))
    return [study_run(point, found.seeds, [task] if task else []) for task in more or [""]]
