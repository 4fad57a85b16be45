"""The parameters of a blueprint's networks by path, as ``where`` selects them. Tests: tests/blueprint/test_paths.py.

Networks that can be built are listed, whatever else is wrong with the blueprint: it is read to mend selectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from composer.algorithms.base import Algorithm
from composer.algorithms.declared import outlines_of
from composer.blueprint.checks.check import check_composed
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.nodes import plain
from composer.blueprint.syntax.problems import Problem
from composer.environments.base import Environment
from composer.environments.interface import SpacesUnknown, UnusableEnvironment
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.spec.quantities import columns, shape_text
from composer.spec.shape import Shape

T = TypeVar("T")


class ParameterPath(NamedTuple):
    """A parameter of one copy of a network."""

    path: str
    """Such as ``critic.trunk.0.weight``."""
    shape: Shape
    """Of one copy."""
    copies: int
    trainable: bool

    @property
    def parameters(self) -> int:
        """Entries in all copies."""
        total = self.copies
        for length in self.shape:
            total *= length
        return total


def parameter_paths(written: Written) -> tuple[list[ParameterPath], list[Problem]]:
    """Paths in the order of the networks, and everything that is wrong with the blueprint.

    Raises BlueprintError where the file cannot be read.
    """
    composed = written.composed()
    problems = check_composed(composed, is_to_run=False)[1]
    return list(_paths(plain(composed.root))), problems


def _paths(values: Mapping[str, Any]) -> Iterator[ParameterPath]:
    algorithm = _sound(Algorithm, values.get("algorithm"))  # type: ignore[type-abstract]
    environment = _sound(Environment, values.get("environment"))  # type: ignore[type-abstract]
    written = values.get("networks")
    if algorithm is None or environment is None or not isinstance(written, Mapping):
        return
    networks = {role: each for role, table in written.items() if (each := _sound(Network, table)) is not None}
    try:
        info = environment.info
    except (SpacesUnknown, UnusableEnvironment):
        return
    outlines = outlines_of(algorithm.roles(info), networks, info.action_size)
    for role, outline in {**outlines, **algorithm.learned_scalars()}.items():
        if isinstance(outline, Outline):
            copies = networks[role].copies if role in networks else 1
            for path, plan in outline.named_parameters():
                yield ParameterPath(f"{role}.{path}", plan.shape, copies, plan.trainable)


def _sound(kind: type[T], table: object) -> T | None:
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError:
        return None


def paths_json(found: list[ParameterPath]) -> list[dict[str, Any]]:
    """For ``--json``: path, shape of one copy, copies, count over copies, whether it is trained."""
    return [{**each._asdict(), "shape": list(each.shape), "count": each.parameters} for each in found]


def paths_text(found: list[ParameterPath]) -> str:
    """A table, a network after the other, with the count of each network."""
    rows: list[tuple[str, ...]] = []
    for role in dict.fromkeys(each.path.partition(".")[0] for each in found):
        own = [each for each in found if each.path.partition(".")[0] == role]
        rows.append((f"{role}.*", "", f"{sum(each.parameters for each in own):,}", ""))
        rows += [(f"  {each.path}", shape_text(each.shape), f"{each.parameters:,}", _note(each)) for each in own]
    return "\n".join(columns([("where", "shape", "parameters", ""), *rows], right=(2,)))


def _note(each: ParameterPath) -> str:
    notes = [f"{each.copies} copies"] if each.copies > 1 else []
    return ", ".join([*notes, *([] if each.trainable else ["frozen"])])
