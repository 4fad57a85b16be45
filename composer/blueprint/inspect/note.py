"""What a run says of itself in Markdown, on one screen: what is trained and how, what differs, how to repeat it.

Tests: tests/blueprint/inspect/test_note.py, tests/training/test_start_upload.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from composer.blueprint.forecast.clock import clock_of
from composer.blueprint.inspect.as_written import base_of, changes, side
from composer.blueprint.inspect.call_text import call_text
from composer.blueprint.inspect.network_facts import chosen_changes
from composer.blueprint.inspect.network_words import network_words, shortened
from composer.blueprint.inspect.purpose import UNKNOWN, purpose
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.extends import shipped
from composer.blueprint.syntax.overrides import override_text
from composer.blueprint.syntax.problems import BlueprintError
from composer.environments.declared import PlannedStage
from composer.networks.parameter_selectors import ParameterName
from composer.spec.quantities import counted
from composer.spec.seeds import MOST as MOST_SEEDS
from composer.spec.seeds import seeds_text

MOST: Final = 6
"""Lines of a list."""
_ACRONYM: Final = 4
"""Letters of an algorithm's name that is written in capitals."""
LONGEST_LINE: Final = 180
LONGEST_COMMAND: Final = 600
WIDTH: Final = 84
"""Characters of a line of a command."""
_ARXIV: Final = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@dataclass(frozen=True)
class RunPlace:
    """What a blueprint does not know of a run of its own."""

    agent: str
    folder: Path
    """Its run directory."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of libraries, by name."""
    fork: Mapping[str, Any] | None = None
    """As ``run.json`` has it, where the run continues a checkpoint of another."""


def note(blueprint: Blueprint, run: RunPlace) -> str:
    """The description of a run: paragraphs of Markdown."""
    return "\n\n".join(filter(None, _paragraphs(blueprint, run)))


def _paragraphs(blueprint: Blueprint, run: RunPlace) -> Iterator[str]:
    source = _source(blueprint)
    yield " ".join(filter(None, [blueprint.description, f"Source: {source}." if source else ""]))
    if run.fork is not None:
        yield _origin(run.fork)
    yield _summary(blueprint, run.agent)
    yield _bullets([f"{role}: {words}" for role, words in network_words(blueprint).items()])
    yield _titled("In order", [f"{stage.words}, from update {stage.start:,}" for stage in _stages(blueprint)])
    sections = [("Interventions", blueprint.interventions), ("Penalties", blueprint.penalties)]
    yield _titled(" and ".join(name for name, found in sections if found), [*_changing(blueprint)])
    yield _difference(blueprint, run)
    yield f"To repeat it:\n\n```\n{_command(blueprint, run)}\n```"
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    yield f"Run directory: `{run.folder.parent.name}/{run.folder.name}`. Versions: {versions}."


def _source(blueprint: Blueprint) -> str:
    try:
        found = purpose(blueprint)
    except BlueprintError:  # Its file is gone meanwhile.
        found = UNKNOWN
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", found.source)


def _origin(fork: Mapping[str, Any]) -> str:
    others = f", from random streams of its own (branch {fork['branch']})" if fork["branch"] else ""
    return f"Continues `{fork['from']}` from environment step {fork['env_step']:,}{others}."


def _summary(blueprint: Blueprint, agent: str) -> str:
    """What is learned, for how long, and at which pace."""
    environment, algorithm = blueprint.environment, blueprint.algorithm
    task = environment.contents().name
    suite = f" ({environment.kind})" if environment.kind != task else ""
    steps = [counted(blueprint.training.env_steps, "environment step")] if environment.is_simulator else []
    copies = environment.copies_per_seed
    lengths = [*steps, counted(len(blueprint.seeds), "seed"), *([f"{copies} environments per seed"] * (copies > 1))]
    name = algorithm.kind.upper() if len(algorithm.kind) <= _ACRONYM else algorithm.kind.replace("_", " ")
    total = clock_of(blueprint).updates_by(blueprint.training.env_steps)
    updates = f"{counted(total, 'update')} on batches of {algorithm.batch_size:,}"
    return f"**{agent}** on {task}{suite}: {name}, {', '.join(lengths)}, {updates}{_pace(blueprint)}."


def _pace(blueprint: Blueprint) -> str:
    """``, 1 per environment step (replay ratio 2)``; nothing for data, on which every step is an update."""
    environment = blueprint.environment
    schedule = blueprint.algorithm.update_schedule(environment.info)
    if not environment.is_simulator:
        return ""
    if schedule.rollout > 1:
        return f", {round(schedule.update_to_data * schedule.rollout):,} after every {schedule.rollout:,} decisions"
    each = schedule.update_to_data / environment.stride
    pace = f"{each:,.4g} per environment step" if each >= 1 else f"1 in {1 / each:,.4g} environment steps"
    return f", {pace} (replay ratio {schedule.update_to_data / environment.copies_per_seed:,.4g})"


def _stages(blueprint: Blueprint) -> Sequence[PlannedStage]:
    found = blueprint.environment.stages(blueprint.algorithm.batch_size)
    return found if 1 < len(found) <= MOST else ()


def _changing(blueprint: Blueprint) -> Iterator[str]:
    """A line for each intervention and penalty: what, when, and on which networks."""
    for change in chosen_changes(blueprint):
        roles = list(dict.fromkeys(role for role, _ in change.parameters))
        where = [role if _is_whole(blueprint, role, change.parameters) else f"part of {role}" for role in roles]
        yield f"{change.name}: {change.text}; on {', '.join(where)}"


def _is_whole(blueprint: Blueprint, role: str, chosen: Sequence[ParameterName]) -> bool:
    outline = blueprint.sound_outlines.get(role)
    return outline is None or len([*outline.named_parameters()]) == sum(each == role for each, _ in chosen)


def _difference(blueprint: Blueprint, run: RunPlace) -> str:
    base = base_of(blueprint)
    if base is None:
        return ""
    name, written = base
    name = str(run.fork["from"]) if run.fork is not None else name
    found = [one for one in changes(written, side(blueprint)) if one.key != "seeds"]
    lines = [f"`{shortened(str(one), LONGEST_LINE)}`" for one in found]
    return _titled(f"Differs from `{name}`", lines, ", which `composer diff` lists") or f"As `{name}`."


def _titled(title: str, lines: Sequence[str], remedy: str = "") -> str:
    """A list below its title, with a sentence on those that are left out; empty where there is nothing."""
    if not lines:
        return ""
    shown = lines if len(lines) <= MOST + 1 else [*lines[:MOST], f"and {len(lines) - MOST} more{remedy}"]
    return f"{title}:\n\n{_bullets(shown)}"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _command(blueprint: Blueprint, run: RunPlace) -> str:
    """What makes the same run again, in the folder in which the runs directory is."""
    written: Written | None = blueprint.derived.get("written")
    changed = [] if written is None else [override_text(each) for each in written.changes if each.path != ("seeds",)]
    if run.fork is not None:
        branch = [f"--branch={run.fork['branch']}"] if run.fork["branch"] else []
        folder = f"{run.folder.parent.name}/{run.fork['from']}"
        words = ["composer", "fork", folder, *changed, f"--at={run.fork['env_step']}", *branch]
    else:
        variant = f"@{written.variant}" if written is not None and written.variant else ""
        words = ["composer", "train", f"{_file(blueprint, run.folder)}{variant}", *changed]
        words.append(_seeds(blueprint.seeds))
    if len(shlex.join(words)) > LONGEST_COMMAND or (written is None and run.fork is None):
        return "composer train blueprint.toml  # the artifact"
    return _wrapped([shlex.quote(word) for word in words])


def _wrapped(words: Sequence[str]) -> str:
    """Words of a command over several lines: the page does not break them, and grows as wide as they are."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return " \\\n".join(lines)


def _seeds(seeds: Sequence[int]) -> str:
    is_short = len(seeds) <= MOST_SEEDS and max(seeds) < 10**10
    return f"--seeds={seeds_text(seeds)}" if is_short else f"seeds={call_text([*seeds])}"


def _file(blueprint: Blueprint, folder: Path) -> str:
    """A shipped name, or the path from the project; of a file elsewhere the name alone: paths may tell of people."""
    file: Path | None = blueprint.derived.get("file")
    if file is None:
        return "blueprint.toml"
    found, project = file.absolute(), folder.absolute().parents[1]
    names = [name for name, each in shipped().items() if each == found]
    return names[0] if names else str(found.relative_to(project)) if found.is_relative_to(project) else found.name
