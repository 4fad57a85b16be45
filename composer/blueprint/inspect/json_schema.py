"""The JSON Schema of blueprints, for editors: all kinds, parts, defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.compose import BEFORE_VALIDATION
from composer.blueprint.syntax.nodes import plain
from composer.blueprint.syntax.parts import Part, parts
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import FAMILIES, FAMILY_KEY, Family

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"^\$\{[A-Za-z0-9_.\[\]-]+\}$"}
_DEFINITIONS = "#/$defs/"
_VARIANT = {"$ref": _DEFINITIONS + "variant"}
_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_WITH: Schema = {**_NAMES, "description": "Variants that come first, over whose keys this one's hold."}
_BEFORE_VALIDATION: Mapping[str, Schema] = {
    "extends": {"type": "string"},
    "values": {"type": "object"},
    "remove": _NAMES,
    "variants": {"type": "object", "additionalProperties": _VARIANT},
}


def schema_json() -> Schema:
    """JSON Schema of a blueprint file, with the kinds and parts of installed plug-ins.

    It requires no key, since a parent may have it: only ``check`` finds missing keys.
    """
    kinds.register()
    plugins.load_installed()
    by_family: dict[str, list[Part]] = {}
    for part in parts().values():
        by_family.setdefault(part.family, []).append(part)
    definitions: Schema = {"reference": _REFERENCE}
    experiment = _spec(Blueprint, definitions)
    before = {name: {**_BEFORE_VALIDATION[name], "description": text} for name, text in BEFORE_VALIDATION.items()}
    shared = {name: before[name] for name in ("values", "remove")}
    definitions["variant"] = {**experiment, "properties": {**experiment["properties"], **shared, "with": _WITH}}
    for name, family in FAMILIES.items():
        definitions[name] = _family(family, definitions, by_family.get(name, []))
    for name, found in by_family.items():
        title = name.title().replace("_", "")
        if name not in FAMILIES and title in definitions:
            definitions[title] = {"anyOf": [definitions[title], *map(_use, found)]}
    return {
        "$schema": DIALECT,
        **experiment,
        "title": "composer blueprint",
        "properties": {**experiment["properties"], **before},
        "$defs": dict(sorted(definitions.items())),
    }


def _spec(spec: type[Any], definitions: Schema) -> Schema:
    """The schema of one spec; its references are added to ``definitions``."""
    schema = dict(spec.model_json_schema())
    for name, inner in schema.pop("$defs", {}).items():
        definitions.setdefault(name, _linked(inner))
    return dict(_linked(schema))


def _family(family: type[Family], definitions: Schema, named: list[Part]) -> Schema:
    tables: dict[str, Schema] = {}
    for name, member in family.kinds().items():
        table = tables[name] = _spec(member, definitions)
        table["properties"] = {"kind": {"const": name}, **table.get("properties", {})}
    options = [*tables.values(), *map(_use, named)]
    if "list" in family.shorthands():
        # A list stands for a table by the value of one key: the layers of a sequence, the globs of a selector.
        shorthand: Any = family.from_shorthand([])
        table = tables[shorthand["kind"]]
        options += [table["properties"][key]["anyOf"][0] for key in shorthand if key != "kind"]
    if "number" in family.shorthands():
        options.append({"type": "number"})
    return {"anyOf": options, "description": family.summary()}


def _use(part: Part) -> Schema:
    """The table that uses a part, with its parameters; ``use`` is optional, since a parent may have it."""
    parameters = {name: {"default": plain(node)} for name, node in part.parameters.items()}
    return {
        "type": "object",
        "description": part.description,
        "properties": {"use": {"const": part.name}, **parameters},
        "additionalProperties": False,
    }


def _linked(schema: Any) -> Any:
    """Turn families into references, make all keys optional, and admit ``${...}`` as the value of every key."""
    if isinstance(schema, list):
        return [_linked(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if FAMILY_KEY in schema:
        rest = {key: value for key, value in schema.items() if key not in (FAMILY_KEY, "default")}
        return {**rest, "$ref": _pointer(schema[FAMILY_KEY])}
    linked: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            linked[key] = {name: _or_reference(_linked(inner)) for name, inner in value.items()}
        elif key != "required":
            linked[key] = value if key == "default" else _linked(value)
    return linked


def _pointer(name: str) -> str:
    """A reference to a definition; the slash in the name of a plug-in's family is escaped (RFC 6901)."""
    return _DEFINITIONS + name.replace("/", "~1")


def _or_reference(schema: Schema) -> Schema:
    outer: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in ("description", "default", "title")}
    return {**outer, "anyOf": [inner, {"$ref": _DEFINITIONS + "reference"}]}
