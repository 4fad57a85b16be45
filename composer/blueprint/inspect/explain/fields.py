"""The declaration of a key: its documentation, accepted values, default and class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from composer.blueprint.checks.spec_at import family_at, spec_at
from composer.blueprint.inspect.schema_words import Style, accepted
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec
from composer.spec.wording import listing, with_article


def _family(family: type[Family]) -> str:
    kind = f"{with_article(family.noun())} of kind {listing(family.kinds())}"
    return " or ".join([*(f"a {name}" for name in family.shorthands()), kind])


_PLAIN = Style(family=_family, table=lambda _: "a table", value=toml_value)


@dataclass(frozen=True)
class Field:
    """The declaration of a key."""

    documentation: str
    accepts: str = ""
    """Type and bounds in words."""
    default: object = None
    has_default: bool = False
    declared_by: str = ""
    """Class and module."""


def field_at(values: object, path: Path) -> Field:
    """The declaration of the key at ``path`` of the resolved blueprint ``values``."""
    owner = spec_at(Blueprint, values, path[:-1])
    name = str(path[-1])
    if owner is not None and name in owner.model_fields:
        return _field(owner, name)
    family = family_at(Blueprint, values, path[:-1])
    if name == "kind" and owner is not None and family is not None:
        return Field(owner.summary() if issubclass(owner, Family) else "", f"one of {listing(family.kinds(), 60)}")
    found = spec_at(Blueprint, values, path)
    if found is None:
        return Field("")
    return Field((found.__doc__ or "").split("\n", 1)[0], declared_by=_declaration(found))


def names_at(values: object, path: Path) -> list[str]:
    """Every key of the spec at ``path``, whether the blueprint sets it or not."""
    found = spec_at(Blueprint, values, path)
    return list(found.model_fields) if found is not None else []


def _field(owner: type[Spec], name: str) -> Field:
    info = owner.model_fields[name]
    declaring = next(base for base in owner.__mro__ if name in vars(base).get("__annotations__", {}))
    accepts = accepted(owner.model_json_schema()["properties"][name], _PLAIN)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    meaning = " ".join(owner.meaning(name).split())
    return Field(meaning, accepts, default, not info.is_required(), _declaration(declaring))


def _declaration(declaring: type[Any]) -> str:
    return f"{declaring.__name__} in {declaring.__module__}"
