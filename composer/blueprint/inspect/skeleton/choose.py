"""The values of a skeleton: from the example of the environment and what the algorithm declares and starts with.

Tests: tests/blueprint/inspect/test_skeleton.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from composer.algorithms.base import Algorithm
from composer.algorithms.declared import InputFrom, Role
from composer.algorithms.start import ADAM, Start
from composer.blueprint.syntax.nodes import plain
from composer.blueprint.syntax.parts import Part, parts
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo, SpacesUnknown, UnusableEnvironment
from composer.networks.heads.base import Head
from composer.spec import builtin_kinds
from composer.spec.errors import ComposerError
from composer.spec.family import FAMILIES
from composer.spec.wording import listing, near, spelled, suggestion

VECTORS, PICTURES, LABELLED_PICTURES = "mlp", "nature_cnn", "resnet18"
"""The trunks for inputs of one axis, for frames of a simulator, and for pictures of a data set."""
GRIDS, LARGE = "minatar_cnn", 36
"""The trunk for frames that are smaller than this many pixels, into which the other one does not fit."""
FROM_PIXELS = "/pixels"
ACTORS: Mapping[str, Mapping[str, int]] = {
    "simba": {"width": 128, "blocks": 1},
    "simba_post": {"width": 128, "blocks": 1},
    "bro": {"width": 256, "blocks": 1},
}
"""Published sizes of actors, where they differ from those of critics, which are the defaults of the parts."""


class DoesNotFit(ComposerError, ValueError):
    """An algorithm cannot learn in an environment, or there is no such algorithm, environment or trunk."""

    exit_code = 2


def algorithm_kind(name: str) -> type[Algorithm]:
    """The kind of algorithm that a name means; raises DoesNotFit with a near one."""
    builtin_kinds.register()
    found = Algorithm.kinds().get(name)
    if found is None:
        raise DoesNotFit(f"no algorithm is called {spelled(name)}{suggestion(name, Algorithm.kinds())}")
    return found


def environment_of(name: str) -> Environment:
    """The environment that a name means: a kind, ``KIND/TASK``, a task alone, or a data set; raises DoesNotFit.

    ``walker-walk/pixels`` is a task that is observed as pictures.
    """
    builtin_kinds.register()
    plain = name.removesuffix(FROM_PIXELS)
    found = _named(plain)
    seen = found.from_pixels() if plain != name else found
    if seen is None:
        raise DoesNotFit(f"{spelled(plain)} is observed in one way alone: leave {FROM_PIXELS!r} out")
    return seen


def _named(name: str) -> Environment:
    kinds, data = Environment.kinds(), FAMILIES["data"].kinds()
    of, _, task = name.partition("/")
    if of in kinds:
        return _made(kinds[of], task, name)
    if name in data:
        return kinds["phases"].model_validate({"data": dict(data[name].example), "phases": [{}]})
    for kind in kinds.values():
        if kind.task_key:
            with suppress(DoesNotFit, SpacesUnknown):
                found = _made(kind, name, name)
                found.info  # noqa: B018 - raises where nothing is known under this name
                return found
    tasks = [task for kind in kinds.values() for task in kind.known_tasks()]
    meant = near(name, [*kinds, *data]) or near(name, tasks)
    hint = f"did you mean {meant!r}?" if meant else f"environments: {listing(kinds)}; data sets: {listing(data)}"
    raise DoesNotFit(f"no environment, data set or task is called {spelled(name)}; {hint}")


def _made(kind: type[Environment], task: str, name: str) -> Environment:
    table = {key: value for key, value in kind.example.items() if key != "kind"}
    if task and not kind.task_key:
        raise DoesNotFit(f"no key of {kind.kind!r} names a task, so write {kind.kind!r} alone")
    try:
        return kind.model_validate(table | ({kind.task_key: task} if task else {}))
    except ValidationError as error:
        raise DoesNotFit(f"{name}: {error.errors()[0]['msg']}") from None
    except UnusableEnvironment as error:
        raise DoesNotFit(f"{name}: {error}") from None


def ensure_fits(algorithm: type[Algorithm], environment: Environment) -> None:
    """Raise DoesNotFit, with the reason and the algorithms that fit, where it cannot learn there."""
    for _, reason in _refusals(algorithm, environment):
        fitting = [name for name, kind in Algorithm.kinds().items() if not any(_refusals(kind, environment))]
        raise DoesNotFit(f"{algorithm.kind} does not fit {environment.title}: {reason}; {listing(fitting)} fit")


def _refusals(algorithm: type[Algorithm], environment: Environment) -> Iterator[tuple[str, str]]:
    info = environment.info
    yield from algorithm.model_validate(dict(algorithm.start(info).settings)).environment_problems(environment, info)
    if not (environment.is_simulator or algorithm.start(info).learns_from_labels):
        yield "environment", "it acts in a simulator, and this is labelled data"
    if environment.learns_from_data and not algorithm.learns_from_replay:
        yield "environment", "it learns from its present policy, and this is a data set of other policies"


def trunk_part(name: str | None, info: EnvironmentInfo, is_simulator: bool) -> Part:
    """The part of a trunk; raises DoesNotFit."""
    if name is None:
        frames = PICTURES if min(info.observation[1:], default=0) >= LARGE else GRIDS
        pictures = frames if is_simulator else LABELLED_PICTURES
        name = VECTORS if len(info.observation) == 1 else pictures
    blocks = {key: part for key, part in parts().items() if part.family == "block"}
    if name not in blocks:
        raise DoesNotFit(f"no part for a trunk is called {spelled(name)}{suggestion(name, blocks)}")
    return blocks[name]


def networks(start: Start, roles: tuple[Role, ...], trunk: str | None, place: Environment) -> dict[str, Any]:
    """The table of networks: copies where there are several, the trunk with its sizes, a head that gives the product.

    A network that reads the output of another one reads a vector, whatever is observed.
    """
    observed = trunk_part(trunk, place.info, place.is_simulator)
    read = parts()[VECTORS] if trunk is None else observed
    return {
        role.name: {
            **({"copies": start.copies[role.name]} if role.name in start.copies else {}),
            "trunk": _trunk(role, start, read if isinstance(role.input, InputFrom) else observed),
            "head": head_for(role.produces, place.info),
        }
        for role in roles
    }


def _trunk(role: Role, start: Start, part: Part) -> object:
    if role.name in start.trunks:
        return dict(start.trunks[role.name])
    before, own = start.before.get(role.name), _sized(role, part)
    return own if before is None else [dict(before), own]


def _sized(role: Role, part: Part) -> dict[str, Any]:
    sizes = {name: plain(node) for name, node in part.parameters.items()}
    numbers = {name: value for name, value in sizes.items() if isinstance(value, int) and name != "expansion"}
    published = ACTORS.get(part.name, {}) if role.name == "actor" else {}
    return {"use": part.name, **numbers, **published}


def head_for(product: str | None, info: EnvironmentInfo) -> dict[str, Any]:
    """The plainest head that gives a product."""
    adapter = TypeAdapter[Head](Head)
    found = [
        dict(kind.example)
        for kind in Head.kinds().values()
        if product is None or adapter.validate_python(kind.example).produces == product
    ]
    head = min(found, key=len)
    return {key: info.action_size if key == "classes" else value for key, value in head.items()}


def optimizers(start: Start, roles: tuple[str, ...]) -> dict[str, Any]:
    """An optimizer for each trained role."""
    return {role: dict(start.optimizers.get(role, ADAM)) for role in roles}


def input_text(role: Role) -> str:
    """The input of a network in words."""
    if isinstance(role.input, InputFrom):
        return f"the output of {listing(role.input.roles)}"
    return f"[{', '.join(map(str, role.input))}]"
