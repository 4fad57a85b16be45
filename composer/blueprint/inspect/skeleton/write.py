"""A skeleton as TOML: every table and key with a comment, which is the first sentence of its documentation.

Tests: tests/blueprint/inspect/test_skeleton.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from composer.algorithms.base import Algorithm
from composer.algorithms.start import Start
from composer.blueprint.inspect.skeleton import choose
from composer.blueprint.load import load_tree
from composer.blueprint.schema import Blueprint, Checkpoint, Evaluation, Replay, Training
from composer.blueprint.syntax.problems import BlueprintError
from composer.blueprint.syntax.read import parse_tree
from composer.blueprint.syntax.write import toml_value
from composer.environments.base import Environment
from composer.environments.interface import SpacesUnknown
from composer.networks.network import Network
from composer.optim.averages import Average
from composer.spec.family import FAMILIES, Family, Spec

COLUMN, WIDTH = 46, 120
"""Where comments begin, and the longest line that they make."""
NOTES = {"trunk": "parts: composer parts; blocks to combine: composer kinds blocks"}
"""What is said of keys in the place of their documentation."""
SEEDS = (0, 1, 2)
ROUNDS = 20
"""Evaluations of a run."""


def skeleton(algorithm: str, environment: str, trunk: str | None = None) -> str:
    """The text of a blueprint that passes every check; raises DoesNotFit with the reason where nothing can be learned.

    Networks have the part ``trunk``, or one that suits the observations.
    """
    kind, place = choose.algorithm_kind(algorithm), choose.environment_of(environment)
    try:
        choose.ensure_fits(kind, place)
        choose.trunk_part(trunk, place.info, place.is_simulator)
    except SpacesUnknown as error:
        raise choose.DoesNotFit(f"{error}: copy a blueprint of another environment") from None
    text = "\n".join(_text(kind, place, trunk, f"{algorithm} {environment}"))
    try:
        load_tree([parse_tree(text.encode(), "skeleton")], (), None, is_to_run=False)
    except BlueprintError as error:
        first = error.problems[0]
        raise choose.DoesNotFit(f"{algorithm} does not fit {environment}: {first.path}: {first.message}") from None
    return text


def _text(kind: type[Algorithm], place: Environment, trunk: str | None, command: str) -> Iterator[str]:
    start = kind.start(place.info)
    if start.environment:
        given = {key: value for key, value in _given(place).items() if key != "kind"}
        place = type(place).model_validate({**given, **start.environment})
    task = "" if place.title == place.kind else f" ({place.title})"
    named = command.rpartition(" ")[2].rpartition("/")[2] if task == "" else place.title
    name = re.sub(r"[^a-z0-9._]+", "_", f"{named}_{kind.kind}".lower())
    title = kind.model_validate(dict(start.settings)).title
    yield f"# {title[:1].upper()}{title[1:]} in {place.kind}{task}, made by 'composer new {command}'. Change anything."
    if start.source:
        yield f"# Source: {start.source}. The length of the run and its intervals are proposals."
    yield "# composer check FILE reports mistakes, composer show FILE draws it, composer train FILE trains it."
    yield "blueprint = 1"
    yield from _key(Blueprint, "name", name)
    yield _commented(f"seeds = {toml_value(list(SEEDS))}", "one agent for each, all in one program")
    yield from _environment(place, start)
    yield from _table("algorithm", kind, {"kind": kind.kind, **start.settings}, f"all keys: composer kinds {kind.kind}")
    yield from _agent(kind, place, start, trunk)
    yield from _run(kind, place, start)
    yield from _variants(kind, place, start, trunk)
    yield ""


def _environment(place: Environment, start: Start) -> Iterator[str]:
    written: dict[str, Any] = _given(place)
    note = f"all keys: composer kinds {place.kind}"
    yield from _table("environment", type(place), written | dict(start.environment), note)


def _given(value: object) -> Any:
    """What a spec was made of, without defaults."""
    if isinstance(value, Spec):
        kind = {"kind": value.kind} if isinstance(value, Family) else {}
        given = {key: getattr(value, key) for key in type(value).model_fields if key in value.model_fields_set}
        return {**kind, **{key: _given(each) for key, each in given.items() if each is not None}}
    return [_given(each) for each in value] if isinstance(value, list | tuple) else value


def _agent(kind: type[Algorithm], place: Environment, start: Start, trunk: str | None) -> Iterator[str]:
    algorithm = kind.model_validate(dict(start.settings))
    roles = algorithm.roles(place.info)
    chosen = choose.networks(start, roles, trunk, place)
    for role in roles:
        note = f"sees {choose.input_text(role)}; its head has to give {role.produces}: composer kinds heads"
        yield from _table(f"networks.{role.name}", Network, chosen[role.name], note)
    for average in algorithm.averages_read():
        if not average.is_optional:
            values = {"of": average.of, "momentum": start.momentum}
            yield from _table(f"averages.{average.name}", Average, values, "a slow copy, which targets are read from")
    for role_name, values in choose.optimizers(start, algorithm.trained_roles()).items():
        spec = FAMILIES["optimizer"].kinds()[str(values["kind"])]
        yield from _table(f"optimizers.{role_name}", spec, values, "all kinds: composer kinds optimizers")


def _run(kind: type[Algorithm], place: Environment, start: Start) -> Iterator[str]:
    is_vector = len(place.info.observation) == 1
    observation = {"observation": {"kind": "rs_norm"}} if is_vector and place.is_simulator else {}
    normalization = {**observation, **start.normalization}
    if normalization:
        spec = type(Blueprint.model_fields["normalization"].default)
        yield from _table("normalization", spec, normalization, "by running statistics")
    steps = _steps(kind, place, start)
    if kind.learns_from_replay:
        memory = {"capacity": min(steps // place.stride * place.copies_per_seed, 1_000_000), **start.replay}
        yield from _table("replay", Replay, memory, "the memory of a seed")
    log = max(steps // 200, place.stride)
    yield from _table("training", Training, {"env_steps": steps, "log_every": log}, "counted with action repeat")
    evaluation = {"every": steps // ROUNDS, **({"episodes": 10} if place.is_simulator else {})}
    yield from _table("evaluation", Evaluation, evaluation, "without exploration")
    yield from _table("checkpoint", Checkpoint, {"every": steps // 4}, "from which a run continues exactly")


def _steps(kind: type[Algorithm], place: Environment, start: Start) -> int:
    """The proposed length in whole interactions, or in whole rollouts."""
    schedule = kind.model_validate(dict(start.settings)).update_schedule(place.info)
    whole = place.stride * schedule.rollout
    return -(-place.first_env_steps // whole) * whole


def _variants(kind: type[Algorithm], place: Environment, start: Start, trunk: str | None) -> Iterator[str]:
    """A variant as an example: the first trunk that has a width, twice as wide."""
    roles = kind.model_validate(dict(start.settings)).roles(place.info)
    for name, network in choose.networks(start, roles, trunk, place).items():
        if name not in start.trunks and "width" in network["trunk"]:
            yield ""
            yield _commented("[variants.wide]", "a small change under a name: composer train FILE@wide")
            yield f"networks.{name}.trunk.width = {network['trunk']['width'] * 2}"
            return


def _table(path: str, spec: type[Spec], values: Mapping[str, Any], note: str) -> Iterator[str]:
    yield ""
    yield _commented(f"[{path}]", note)
    for key, value in values.items():
        yield from _key(spec, key, value)


def _key(spec: type[Spec], key: str, value: object) -> Iterator[str]:
    meaning = NOTES.get(key) or _sentence(spec.meaning(key))
    line = f"{key} = {_number(value)}"
    if len(_commented(line, meaning)) <= WIDTH:
        yield _commented(line, meaning)
    else:
        yield f"# {key}: {meaning}"[:WIDTH]
        yield line


def _sentence(text: str) -> str:
    first = re.split(r"(?<=[.:;])\s", " ".join(text.split()))[0].rstrip(".:;").replace("``", "")
    return first[:1].lower() + first[1:] if first[1:2].islower() else first


def _number(value: object) -> str:
    is_large = isinstance(value, int) and not isinstance(value, bool) and value >= 1_000
    return f"{value:_}" if is_large else toml_value(value)


def _commented(line: str, comment: str) -> str:
    return f"{line + '  ':<{COLUMN}}# {comment}" if comment else line
