"""Every kind of every family is strict: numbers bounded on both sides, and no field takes what it does not declare.

Each field of each kind's example is given every TOML type that its schema does not name, and numbers outside of its
bounds; each key a near misspelling. All must be refused at the field's own line, in our words, not in pydantic's.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from mutations import misspelt
from pydantic import TypeAdapter, ValidationError, create_model

from composer.blueprint import Blueprint, Problem
from composer.blueprint.checks.form import validate
from composer.blueprint.syntax.read import parse_tree
from composer.networks.blocks.base import Block, count_blocks, declared_blocks
from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES, FAMILY_KEY, Family, Spec
from composer.spec.shape import ShapeError
from composer.spec.wording import near

kinds.register()
KINDS: list[type[Family]] = [
    member for family in FAMILIES.values() for member in family.kinds().values() if member.__module__[:9] == "composer."
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.family}-{kind.kind}")
Schema = Mapping[str, Any]

OF_TYPES: dict[str, object] = {
    "string": "no such word\0",
    "integer": 12_345_678_901_234_567,
    "number": 1.5e300,
    "boolean": True,
    "array": [[[]]],
    "object": {"no_such_key": 1},
    "date": datetime.date(1979, 5, 27),
}
SHORTHANDS = {"number": "number", "list": "array"}


def reported(family: str, table: Mapping[str, object]) -> tuple[dict[str, int], list[Problem]]:
    """Lines of the keys of a table written as TOML, a line each, and what is said of it as a value of the family."""
    lines = {key: number for number, key in enumerate(table, 2)}
    text = "[value]\n" + "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in table.items())
    return lines, validate(parse_tree(text.encode(), "k.toml"), frozenset(), _body(family))[1]


@cache
def _body(family: str) -> type[Spec]:
    """A table with a value of the family."""
    return create_model("Body", __base__=Spec, value=(FAMILIES[family], ...))


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return value.isoformat() if isinstance(value, datetime.date) else json.dumps(value).replace("NaN", "nan")


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").isalnum() else json.dumps(name)


@cache
def schema_of(spec: type[Spec]) -> Schema:
    return spec.model_json_schema()


def options(schema: Schema, root: Schema) -> Iterator[Schema]:
    """The alternatives of a field's schema, without references and ``null``."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in schema.items() if k != "$ref"}}
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(key, ()):
            yield from options(option, root)
    if not {"anyOf", "oneOf", "allOf"} & set(schema) and schema.get("type") != "null":
        yield schema


def wrong(schema: Schema, root: Schema) -> Iterator[object]:
    """Values that a field of this schema must refuse."""
    found = list(options(schema, root))
    accepted = {_type(option) for option in found}
    for option in found:
        if FAMILY_KEY in option:
            accepted |= {SHORTHANDS[name] for name in FAMILIES[option[FAMILY_KEY]].shorthands()}
    if "number" in accepted:
        accepted.add("integer")
    is_constrained = any({"enum", "const", "pattern"} & set(option) for option in found)
    for name, value in OF_TYPES.items():
        # Of the types that are taken, what is nonsense: no choice of ours, a list of empty lists, a table of no kind.
        if name not in accepted or (name == "string" and is_constrained) or name in ("array", "object"):
            yield value
    if not {"number", "integer"} & accepted:
        return
    numbers = [option for option in found if _type(option) in ("number", "integer") and "enum" not in option]
    if numbers:
        yield float("nan")
        lowest = min(option.get("minimum", option.get("exclusiveMinimum")) for option in numbers)
        highest = max(option.get("maximum", option.get("exclusiveMaximum")) for option in numbers)
        yield lowest - max(1, abs(lowest))
        yield highest + max(1, abs(highest))


def _type(option: Schema) -> str:
    if FAMILY_KEY in option:
        return "object"
    values = option.get("enum", [option["const"]] if "const" in option else [])
    names = {bool: "boolean", str: "string", int: "integer", float: "number"}
    return str(option.get("type") or names[type(values[0])])


def unbounded(schema: Any, path: str = "") -> Iterator[str]:
    """Numbers, lists and tables of free keys in a schema without a bound on each side."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from unbounded(item, f"{path}[{index}]")
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") in ("integer", "number") and not {"enum", "const"} & set(schema):
        if not ({"minimum", "exclusiveMinimum"} & set(schema) and {"maximum", "exclusiveMaximum"} & set(schema)):
            yield f"{path}: a {schema['type']}"
    if schema.get("type") == "array" and "maxItems" not in schema:
        yield f"{path}: a list"
    if schema.get("type") == "object" and "properties" not in schema and "maxProperties" not in schema:
        yield f"{path}: a table"
    for key, inner in schema.items():
        if key not in ("default", "examples", "description"):
            yield from unbounded(inner, f"{path}.{key}" if path else key)


def assert_well_reported(problems: list[Problem]) -> None:
    for problem in problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 1_000
        assert "Input should" not in problem.message and "Value error" not in problem.message, problem


@each_kind
def test_every_number_and_every_list_is_bounded(kind: type[Family]) -> None:
    assert list(unbounded(schema_of(kind))) == []


def test_the_top_of_the_language_is_bounded() -> None:
    assert list(unbounded(schema_of(Blueprint))) == []


@each_kind
def test_every_field_has_its_documentation(kind: type[Family]) -> None:
    assert [name for name in kind.model_fields if not kind.meaning(name)] == []


@each_kind
def test_the_example_is_accepted(kind: type[Family]) -> None:
    assert reported(kind.family, kind.example) == ({key: line for line, key in enumerate(kind.example, 2)}, [])


@each_kind
def test_no_field_takes_another_type_or_a_number_out_of_bounds(kind: type[Family]) -> None:
    root = schema_of(kind)
    for name, schema in root.get("properties", {}).items():
        for value in wrong(schema, root):
            lines, problems = reported(kind.family, {**kind.example, name: value})
            assert_well_reported(problems)
            assert any(problem.line == lines[name] for problem in problems), f"{name} = {value!r} is accepted"


@each_kind
def test_a_misspelt_key_is_reported_with_the_name_that_was_meant(kind: type[Family]) -> None:
    for name in ("kind", *kind.model_fields):
        near_name = misspelt(name)
        if near_name in kind.model_fields or near(near_name, [*kind.model_fields, "kind"]) != name:
            continue
        example = {key: value for key, value in kind.example.items() if key != name}
        lines, problems = reported(kind.family, {**example, near_name: kind.example.get(name, 1)})
        assert_well_reported(problems)
        here = [str(problem) for problem in problems if problem.line == lines[near_name]]
        assert any(f"unknown key; did you mean '{name}'?" in line for line in here), (near_name, problems)


@each_kind
def test_a_misspelt_kind_is_reported_with_the_name_that_was_meant(kind: type[Family]) -> None:
    name = misspelt(kind.kind)
    if near(name, FAMILIES[kind.family].kinds()) != kind.kind:
        return  # Another kind is nearer.
    lines, problems = reported(kind.family, {**kind.example, "kind": name})
    assert [problem.line for problem in problems] == [lines["kind"]]
    assert problems[0].message.startswith(f"no {kind.noun()} named '{name}'")
    assert f"did you mean '{kind.kind}'?" in str(problems[0])


@pytest.mark.parametrize("kind", Block.kinds().values(), ids=lambda kind: kind.kind)
def test_the_size_of_a_block_is_known_before_it_is_outlined(kind: type[Block]) -> None:
    root = schema_of(kind)
    limits = {
        name: max(option.get("maximum", option.get("exclusiveMaximum")) for option in found)
        for name, schema in root.get("properties", {}).items()
        if (
            found := [option for option in options(schema, root) if _type(option) == "integer" and "enum" not in option]
        )
    }
    for change in ({}, *({name: limit} for name, limit in limits.items())):
        try:
            block = TypeAdapter[Block](Block).validate_python({**kind.example, **change})
            outline = block.outline(kind.example_input)
        except (ValidationError, ShapeError):
            continue  # Such a number does not fit the example.
        assert count_blocks(outline) <= 8 * declared_blocks(block), f"{change}: declare 'repeats'"
