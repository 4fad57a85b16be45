"""The declaration of a key: its documentation, accepted values, default and class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from composer.blueprint.checks.spec_at import family_at, spec_at
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.positions import Path
from composer.spec.family import FAMILIES, FAMILY_KEY, Family, Spec
from composer.spec.wording import listing

Schema = Mapping[str, Any]
_TYPES = {"integer": "integer", "number": "number", "string": "string", "boolean": "boolean"}
_BOUNDS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
)


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
    schema = owner.model_json_schema()
    accepts = " or ".join(dict.fromkeys(_accepted(schema["properties"][name], schema.get("$defs", {}))))
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return Field(info.description or "", accepts, default, not info.is_required(), _declaration(declaring))


def _declaration(declaring: type[Any]) -> str:
    return f"{declaring.__name__} in {declaring.__module__}"


def _accepted(schema: Schema, definitions: Schema) -> Iterator[str]:
    """The values that a JSON Schema admits, in words, one text per alternative."""
    if FAMILY_KEY in schema:
        family = FAMILIES[schema[FAMILY_KEY]]
        yield f"a {family.noun()}: {listing(family.kinds())}"
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _accepted(option, definitions)
    elif "enum" in schema or "const" in schema:
        yield f"one of {listing(map(str, schema.get('enum', [schema.get('const')])))}"
    elif "$ref" in schema:
        yield "a table"
    elif schema.get("type") == "array":
        inner = " or ".join(dict.fromkeys(_accepted(schema.get("items", {}), definitions)))
        yield f"a list{_length(schema, 'Items', 'entries')}" + (f", each {inner}" if inner else "")
    elif schema.get("type") == "object":
        yield "a table"
    elif schema.get("type") in _TYPES:
        yield _TYPES[schema["type"]] + _bounds(schema) + _length(schema, "Length", "characters")


def _bounds(schema: Schema) -> str:
    return "".join(f", {words} {_number(schema[key])}" for key, words in _BOUNDS if key in schema)


def _length(schema: Schema, noun: str, unit: str) -> str:
    limits = [
        f"{words} {schema[key + noun]:,} {unit}"
        for key, words in (("min", "at least"), ("max", "at most"))
        if key + noun in schema
    ]
    pattern = [f"of the form {schema['pattern']}"] if "pattern" in schema else []
    return "".join(f", {limit}" for limit in [*limits, *pattern])


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"
