"""The JSON Schema accepts every shipped file as it is written, refuses spoilt ones, and names every kind and part."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from composer.blueprint.inspect.json_schema import schema_json
from composer.blueprint.syntax.parts import parts
from composer.spec.family import FAMILIES
from composer.spec.package_files import blueprint_files, blueprints_root

FILES = blueprint_files()


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(json.dumps(schema_json(), allow_nan=False))  # type: ignore[no-any-return]


def test_every_kind_and_every_part_is_in_the_schema(schema: dict[str, Any]) -> None:
    for name, family in FAMILIES.items():
        tables = [option["properties"] for option in schema["$defs"][name]["anyOf"] if "properties" in option]
        assert set(family.kinds()) == {table["kind"]["const"] for table in tables if "kind" in table}
        used = {table["use"]["const"] for table in tables if "use" in table}
        assert used == {part.name for part in parts().values() if part.family == name}


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    named = set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', json.dumps(schema)))
    assert named <= set(schema["$defs"])
    assert "x-family" not in json.dumps(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_fit_the_schema(path: Any, schema: dict[str, Any]) -> None:
    assert fits(tomllib.loads(path.read_text()), schema, schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds = [0]", 'seeds = ["0"]'),
        ("batch_size", "batch_sise"),
        ('kind = "sac"', 'kind = "sca"'),
        ("blocks = 1 }, head = { kind = \"scalar\"", "blcks = 1 }, head = { kind = \"scalar\""),
        ("momentum = 0.99", "momentum = true"),
    ],
)  # fmt: skip
def test_spoilt_files_do_not_fit_the_schema(old: str, new: str, schema: dict[str, Any]) -> None:
    text = (blueprints_root() / "quickstart.toml").read_text()
    assert text.count(old) == 1
    assert not fits(tomllib.loads(text.replace(old, new)), schema, schema)


_TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value fits a schema: the few words of JSON Schema that ours uses."""
    if "$ref" in schema and not fits(value, root["$defs"][schema["$ref"].split("/")[-1]], root):
        return False
    if "anyOf" in schema and not any(fits(value, option, root) for option in schema["anyOf"]):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    return _fits_type(value, schema) and _fits_bounds(value, schema) and _fits_inside(value, schema, root)


def _fits_type(value: Any, schema: dict[str, Any]) -> bool:
    name = schema.get("type")
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return name is None or isinstance(value, _TYPES[name])


def _fits_bounds(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if not isinstance(value, int | float):
        return True
    bounds = (
        value >= schema.get("minimum", value),
        value <= schema.get("maximum", value),
        "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"],
        "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"],
    )
    return all(bounds)


def _fits_inside(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if isinstance(value, list):
        return all(fits(item, schema.get("items", {}), root) for item in value)
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    for pattern, inner in schema.get("patternProperties", {}).items():
        known = known | {key: inner for key in value if re.search(pattern, key)}
    others = schema.get("additionalProperties", True)
    if not set(schema.get("required", [])) <= set(value):
        return False
    if others is False and not set(value) <= set(known):
        return False
    rest = others if isinstance(others, dict) else {}
    return all(fits(item, known.get(key, rest), root) for key, item in value.items())
