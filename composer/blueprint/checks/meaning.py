"""Problems of meaning: parts that do not fit each other, shapes that do not match, memory that is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath

from composer.algorithms.role_checks import agent_problems
from composer.blueprint.checks.normalized import observations, rewards
from composer.blueprint.checks.offline import offline
from composer.blueprint.checks.overlap import overlap
from composer.blueprint.forecast.clock import lengths_of
from composer.blueprint.forecast.effects import effect_problems
from composer.blueprint.forecast.growth import CannotGrow, growth
from composer.blueprint.forecast.memory import available_bytes, disk_bytes, fewest_rows, forecast
from composer.blueprint.forecast.metrics import metric_problem, written_metrics
from composer.blueprint.forecast.periods import fires_without_pause
from composer.blueprint.forecast.timeline import counts_interactions, schedules
from composer.blueprint.schema import Blueprint, Replay
from composer.blueprint.syntax.nodes import read_path
from composer.blueprint.syntax.positions import Path
from composer.environments.interface import as_far_as_known
from composer.interventions.base import Case
from composer.interventions.growth_steps import MOST_FIRINGS
from composer.networks.parameter_selectors import ParameterName
from composer.spec.family import Spec
from composer.spec.quantities import bytes_text, counted
from composer.spec.shape import ShapeError
from composer.spec.wording import suggestion

Finding = tuple[str | Path, str]
"""A path, as keys or as text, and what is wrong there."""
MAX_COMPARISONS = 1_000_000
"""Most comparisons of a glob with a parameter: a second's work, a hundred times what an experiment needs."""


def meaning_problems(blueprint: Blueprint) -> list[Finding]:
    """Problems of meaning. Each stage relies on the ones before it: the first stage that finds problems is the last.

    Checks that need what is not known of an environment until it is built are left out.
    """
    agent = (_agent, offline, _acting, _schedules, overlap, _sampling)
    roles = (*agent, _sizes, _tasks, _environment, observations, rewards)
    stages = (
        roles,
        (_shapes,),
        (_comparisons,),
        (_optimizers, _interventions, _diagnostics),
        (_resets, _growth, effect_problems),
    )
    for stage in stages:
        findings = _first_of_each_path(finding for check in stage for finding in as_far_as_known(check(blueprint)))
        if findings:
            return findings
    return []


def _first_of_each_path(findings: Iterable[Finding]) -> list[Finding]:
    first: dict[Path, Finding] = {}
    for path, message in findings:
        steps = path if isinstance(path, tuple) else read_path(path) or ()
        first.setdefault(steps, (steps, message))
    return list(first.values())


def _schedules(blueprint: Blueprint) -> Iterator[Finding]:
    """Schedules that count in phases where there are none, or on another clock."""
    for path, schedule in schedules(blueprint):
        if not schedule.counts_phases:
            continue
        if not blueprint.environment.stages(blueprint.algorithm.batch_size):
            yield path, "there are no phases here whose updates could be counted: use the schedule alone"
        elif counts_interactions(blueprint, path):
            yield path, "updates are counted within a phase, and this schedule counts interactions"


def _sampling(blueprint: Blueprint) -> Iterator[Finding]:
    algorithm, sampling = blueprint.algorithm, blueprint.replay.sampling
    if algorithm.learns_on_policy and blueprint.replay != Replay():
        yield ("replay",), f"{algorithm.title} learns from its last rollout and keeps no replay: leave it out"
    if algorithm.learns_on_policy and blueprint.environment.clears_replay:
        yield ("environment", "replay"), f"{algorithm.title} keeps no replay that could be cleared: leave it out"
    if sampling.has_priorities and not algorithm.weighs_samples:
        why = f"{algorithm.kind} weighs all samples alike and reports no priorities: use 'uniform'"
        yield ("replay", "sampling"), why


def _acting(blueprint: Blueprint) -> Iterator[Finding]:
    averaged = blueprint.averaged_networks
    for key, acting in (("training", blueprint.training.acting), ("evaluation", blueprint.evaluation.acting)):
        for role, name in acting.items():
            if name not in blueprint.averages:
                message = f"no average named {name!r}{suggestion(name, blueprint.averages)}"
                yield (key, "acting", role), message
            elif averaged.get(name, role) != role:
                yield (key, "acting", role), f"{name!r} averages {averaged[name]!r}, and cannot act for {role!r}"


def _agent(blueprint: Blueprint) -> Iterator[Finding]:
    yield from agent_problems(blueprint.agent)


def _sizes(blueprint: Blueprint) -> Iterator[Finding]:
    environment = blueprint.environment
    if not environment.is_simulator:
        return
    batch, capacity = blueprint.algorithm.batch_size, blueprint.replay.capacity
    if batch > capacity and not environment.learns_from_data:
        message = f"a batch of {batch:,} exceeds the replay's {capacity:,} transitions (replay.capacity)"
        yield ("algorithm", "batch_size"), message
    copies = environment.copies_per_seed
    if capacity < copies:
        yield ("replay", "capacity"), f"{capacity:,} transitions are fewer than environment.copies, {copies:,}"
    least = fewest_rows(environment.info)
    if blueprint.algorithm.learns_from_replay and copies <= capacity < least * copies:
        why = f"a stack and one more, {least} pictures, of {counted(copies, 'environment')}"
        message = f"{capacity:,} transitions hold no stack of pictures: it needs at least {least * copies:,} ({why})"
        yield ("replay", "capacity"), message


def _tasks(blueprint: Blueprint) -> Iterator[Finding]:
    tasks, episodes = blueprint.environment.info.tasks, blueprint.evaluation.episodes
    if tasks and episodes % tasks:
        yield (
            ("evaluation", "episodes"),
            f"{episodes} are no multiple of {tasks} tasks, which share them",
        )


def _environment(blueprint: Blueprint) -> Iterator[Finding]:
    batch, env_steps = blueprint.algorithm.batch_size, blueprint.training.env_steps
    yield from blueprint.environment.problems(batch, env_steps, len(blueprint.seeds))
    info = blueprint.environment.info
    if info.pictures and info.skill_size and not blueprint.algorithm.reads_skill_planes:
        message = f"{blueprint.algorithm.title} would see the bytes of skills as a part of the pictures: leave it out"
        yield ("environment", "skills"), message


def _shapes(blueprint: Blueprint) -> Iterator[Finding]:
    for role, outline in blueprint.outlines.items():
        if isinstance(outline, ShapeError):
            yield ("networks", role, *outline.steps), outline.message


def _comparisons(blueprint: Blueprint) -> Iterator[Finding]:
    """Every glob is compared with every parameter: masses of both would take minutes."""
    names = sum(1 for outline in blueprint.sound_outlines.values() for _ in outline.named_parameters())
    groups: dict[str, Mapping[str, Spec]] = {
        "interventions": blueprint.interventions, "penalties": blueprint.penalties, "optimizers": blueprint.optimizers
    }  # fmt: skip
    globs = {key: sum(1 + _entries(spec.model_dump()) for spec in group.values()) for key, group in groups.items()}
    if sum(globs.values()) * names > MAX_COMPARISONS:
        message = f"{sum(globs.values()):,} globs over {names:,} parameters; limit {MAX_COMPARISONS:,} comparisons"
        yield (max(globs, key=lambda key: globs[key]),), message


def _entries(value: object) -> int:
    """The number of strings in lists anywhere in a value."""
    if isinstance(value, Mapping):
        return sum(map(_entries, value.values()))
    return sum(isinstance(item, str) or _entries(item) for item in value) if isinstance(value, list | tuple) else 0


def _optimizers(blueprint: Blueprint) -> Iterator[Finding]:
    for role, optimizer in blueprint.optimizers.items():
        paths = [path for path, plan in blueprint.trained_outlines[role].named_parameters() if plan.trainable]
        for key, message in optimizer.problems(paths):
            yield ("optimizers", role, key), message


def _interventions(blueprint: Blueprint) -> Iterator[Finding]:
    trained, lengths = blueprint.trained_outlines, lengths_of(blueprint)
    found: dict[str, list[tuple[str, str]]] = {}
    waiting = any(each.when.watched_metrics() for each in blueprint.interventions.values())
    written = written_metrics(blueprint) if waiting else []
    for name, each in blueprint.interventions.items():
        found[name] = [(f"when.{key}", message) for key, message in each.when.problems(lengths)]
        for key, _, condition in each.when.leaves() if waiting else ():
            if condition and (
                problem := metric_problem(blueprint, condition.metric, condition.least_readings, written)
            ):
                found[name].append((f"when.{key}.metric" if key else "when.metric", problem))
        found[name] += [(f"where.{key}", message) for key, message in each.where.problems(trained)]
    if not any(key.startswith("where.") for problems in found.values() for key, _ in problems):
        chosen = {name: each.where.select(trained) for name, each in blueprint.interventions.items()}
        for name, each in blueprint.interventions.items():
            found[name] += each.problems(_case(blueprint, name, chosen))
        yield from _features_of_grown(blueprint, chosen)
    for name, penalty in blueprint.penalties.items():
        yield from ((f"penalties.{name}.{key}", message) for key, message in penalty.problems(trained))
    for name, problems in found.items():
        yield from ((f"interventions.{name}.{key}", message) for key, message in problems)


def _case(blueprint: Blueprint, name: str, chosen: Mapping[str, tuple[ParameterName, ...]]) -> Case:
    """One intervention among the others of the blueprint."""
    lengths, trained, interventions = lengths_of(blueprint), blueprint.trained_outlines, blueprint.interventions
    schedule = blueprint.algorithm.update_schedule(blueprint.environment.info)
    waits = blueprint.algorithm.assessment is not None  # Then seeds make their updates at times of their own.
    alone = {
        name for name, each in interventions.items()
        if each.when.is_per_seed(lengths) or (waits and each.when.clock == "update")
    }  # fmt: skip
    return Case(
        name,
        interventions,
        blueprint.networks,
        blueprint.averaged_networks,
        trained,
        chosen,
        actions=blueprint.environment.info.action_size,
        per_seed=frozenset(alone if len(blueprint.seeds) > 1 else ()),
        learns_beside=not (blueprint.algorithm.learns_on_policy or waits or schedule.remembered),
        anchored=_anchored(blueprint),
    )


def _anchored(blueprint: Blueprint) -> Mapping[str, str]:
    """By role: what keeps tensors that have the first shapes of its parameters."""
    trained = blueprint.trained_outlines
    plans = {role: dict(outline.named_parameters()) for role, outline in trained.items()}
    found = {role: f"optimizers.{role}" for role, each in blueprint.optimizers.items() if each.keeps_first_values}
    for name, penalty in blueprint.penalties.items():
        for role, path in penalty.chosen(trained):
            if penalty.anchored or penalty.memory(plans[role][path]) is not None:
                found[role] = f"penalties.{name}"
    return found


def _features_of_grown(blueprint: Blueprint, chosen: Mapping[str, Sequence[ParameterName]]) -> Iterator[Finding]:
    """Penalties on features of networks that get further terms, after which nothing is their trunk."""
    for key, penalty in blueprint.penalties.items():
        reached = {role for role, _ in penalty.chosen(blueprint.trained_outlines)} if penalty.of_features else set()
        for name, each in blueprint.interventions.items():
            grown = reached & {role for role, _ in chosen[name]} if each.do.growth else set()
            for role in sorted(grown):
                message = f"{name!r} adds terms to {role!r}; the features of such a network cannot be penalised"
                yield ("penalties", key, "where"), message


def _diagnostics(blueprint: Blueprint) -> Iterator[Finding]:
    found = blueprint.diagnostics.problems(blueprint.learning_outlines)
    yield from ((f"diagnostics.{key}", message) for key, message in found)


def _resets(blueprint: Blueprint) -> Iterator[Finding]:
    """Resets of whole networks that leave no time to learn."""
    for name, each in blueprint.interventions.items():
        often = fires_without_pause(blueprint, each.when)
        if not often or not each.do.resets_weights:
            continue
        chosen = set(each.where.select(blueprint.trained_outlines))
        for role, outline in blueprint.sound_outlines.items():
            if all((role, path) in chosen for path, plan in outline.named_parameters() if plan.trainable):
                message = f"{often} and draws all weights of {role!r} anew: nothing is learned"
                yield ("interventions", name, "when"), message


def _growth(blueprint: Blueprint) -> Iterator[Finding]:
    """Later firings of growth, on networks that have grown by then."""
    try:
        planned = Counter(each.name for each in growth(blueprint))
    except CannotGrow as error:
        yield ("interventions", error.name, "do"), f"a later firing: {error}"
        return
    for name, count in planned.items():
        if count > MOST_FIRINGS:
            message = f"lets its network grow {count:,} times; limit {MOST_FIRINGS}: give the trigger a 'maximum'"
            yield ("interventions", name, "when"), message


def memory_problems(blueprint: Blueprint) -> Iterator[Finding]:
    """Whether this machine has the memory now. ``auto`` may put a replay on disk, taken to be that of this folder."""
    needs, available = forecast(blueprint), available_bytes()
    if needs.total <= available:
        return
    least = needs.on_disk() if blueprint.replay.storage == "auto" else needs
    if least.total > available or not least.disk:
        sizes = needs.parts()
        largest = max(sizes, key=lambda path: sizes[path])
        there = f"{bytes_text(available)} are available"
        yield largest, f"needs {bytes_text(needs.total)} of memory, {there}; nothing allocated"
    elif least.disk > (room := disk_bytes(FilePath.cwd())):
        there = f"{bytes_text(available)} of memory and {bytes_text(room)} of disk are available"
        yield needs.replay_key, f"needs {bytes_text(needs.total)}, {there}; nothing allocated"
