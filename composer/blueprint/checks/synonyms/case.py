"""What conversions know: the key of another library, the table around it, and the rest of the blueprint, unchecked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from composer.algorithms.base import Algorithm
from composer.blueprint.schema import Replay, Training
from composer.blueprint.syntax.positions import Path
from composer.environments.base import Environment
from composer.environments.interface import EnvironmentInfo, SpacesUnknown, UnusableEnvironment
from composer.spec.family import Family, Spec

F = TypeVar("F", bound=Family)
DECLARED: Mapping[str, type[Spec]] = {"training": Training, "replay": Replay}
LARGEST = 1e15
"""Numbers beyond this are not converted: they are exact integers, and their products finite, up to here."""


def folded(name: str) -> str:
    """A name without the differences of style: ``total-timesteps`` is ``total_timesteps``."""
    return name.casefold().replace("-", "_")


def as_number(value: object) -> float | None:
    """A finite number of moderate size; None for everything else, booleans too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST and math.isfinite(value) else None


def tidy(value: float) -> float | int:
    """A number as people write it: without the rounding of ``1 - 0.005``, and whole numbers as integers."""
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() else rounded


@dataclass(frozen=True)
class Case:
    """A key of another library in a blueprint that is not valid. Nothing here raises, whatever the file holds."""

    values: Mapping[str, Any]
    """The whole blueprint, as it was written."""
    table: Path
    """The table around the key."""
    name: str
    given: object
    """The value of the key."""
    around: Mapping[str, Any]
    """The table itself, where other keys of the same library may stand."""
    role: str = ""
    """The role for which a value is computed."""

    def of(self, role: str) -> Case:
        """The same for one role."""
        return replace(self, role=role)

    @property
    def number(self) -> float | None:
        """The value, where it is a number."""
        return as_number(self.given)

    def beside(self, *names: str) -> object:
        """The value of the first of these keys in the same table, or None."""
        found = {folded(str(key)): value for key, value in self.around.items()}
        return next((found[name] for name in names if name in found), None)

    def number_beside(self, *names: str) -> float | None:
        """The number of the first of these keys in the same table."""
        return as_number(self.beside(*names))

    @property
    def kind(self) -> str:
        """The algorithm, or an empty string."""
        kind = self._table("algorithm").get("kind")
        return kind if isinstance(kind, str) and kind in Algorithm.kinds() else ""

    @cached_property
    def algorithm(self) -> Algorithm | None:
        """The algorithm with the keys that it knows; with its defaults where one of them is wrong."""
        return _validated(Algorithm, self._table("algorithm"))  # type: ignore[type-abstract]

    @cached_property
    def environment(self) -> Environment | None:
        """The environment with the keys that it knows."""
        return _validated(Environment, self._table("environment"))  # type: ignore[type-abstract]

    @property
    def stride(self) -> float:
        """Environment steps of one interaction."""
        return self.environment.stride if self.environment else 1

    @property
    def copies(self) -> float:
        """Environments that are stepped together; the other library's own key counts where it stands beside."""
        given = self.number_beside("n_envs", "num_envs")
        return max(given or (self.environment.copies_per_seed if self.environment else 1), 1)

    @property
    def action_repeat(self) -> float:
        """Environment steps for which an action is held."""
        return self.stride / (self.environment.copies_per_seed if self.environment else 1)

    @property
    def info(self) -> EnvironmentInfo | None:
        """The environment's description of itself, where it is known."""
        try:
            return self.environment.info if self.environment else None
        except (SpacesUnknown, UnusableEnvironment):
            return None

    def ours(self, table: str, key: str) -> object:
        """The value of our own key in the file, or its default."""
        found = self._table(table)
        if key in found:
            return found[key]
        spec = Algorithm.kinds().get(self.kind) if table == "algorithm" else DECLARED.get(table)
        field = spec.model_fields.get(key) if spec else None
        return field.default if field else None

    def roles(self, table: str) -> tuple[str, ...]:
        """The roles of ``networks``, ``optimizers`` or ``averages`` that are meant: one where the key stands in it."""
        if len(self.table) >= 2 and self.table[0] == table:
            return (str(self.table[1]),)
        declared = self.algorithm
        if declared is None:
            return tuple(map(str, self._table(table)))
        if table == "optimizers":
            return declared.trained_roles()
        if table == "averages":
            return tuple(each.name for each in declared.averages_read() if not each.is_optional)
        return tuple(role for role in declared.trained_roles() if role not in declared.learned_scalars())

    def _table(self, name: str) -> Mapping[str, Any]:
        found = self.values.get(name)
        return found if isinstance(found, Mapping) else {}


def _validated(family: type[F], table: Mapping[str, Any]) -> F | None:
    name = table.get("kind")
    kind = family.kinds().get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    known = {key: value for key, value in table.items() if key in {*kind.model_fields, "kind"}}
    for candidate in (known, kind.example):
        try:
            return TypeAdapter[F](family).validate_python(candidate)
        except ValidationError:
            continue
    return None
