"""Say in words what a key accepts, from its JSON Schema, for ``explain`` and for the reference documentation.

Tests: tests/blueprint/test_explain.py, tests/docs/test_reference.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from composer.blueprint.checks.messages import PATTERNS
from composer.spec.family import FAMILIES, FAMILY_KEY, Family

Schema = Mapping[str, Any]
_BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
_SIZES = (
    ("minItems", "maxItems", "entries"),
    ("minLength", "maxLength", "characters"),
    ("minProperties", "maxProperties", "keys"),
)


class Style(NamedTuple):
    """How a text writes families, tables that are no family, and values."""

    family: Callable[[type[Family]], str]
    table: Callable[[str], str]
    value: Callable[[object], str]


def accepted(schema: Schema, style: Style) -> str:
    """The values that a schema admits: ``integer from 1 to 65,536``, ``"auto"`` or ``"cpu"``."""
    return " or ".join(dict.fromkeys(_alternatives(schema, style)))


def _alternatives(schema: Schema, style: Style) -> Iterator[str]:
    if "$ref" in schema:
        yield style.table(schema["$ref"].rsplit("/", 1)[1])
    elif FAMILY_KEY in schema:
        yield style.family(FAMILIES[schema[FAMILY_KEY]])
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            if option.get("type") != "null":
                yield from _alternatives(option, style)
    else:
        yield _simple(schema, style)


def _simple(schema: Schema, style: Style) -> str:
    if "enum" in schema or "const" in schema:
        *others, last = map(style.value, schema.get("enum", [schema.get("const")]))
        return f"{', '.join(others)} or {last}" if others else last
    kind = schema.get("type")
    if kind == "array":
        return f"list{_size(schema)} of {accepted(schema.get('items', {}), style)}"
    if kind == "object":
        patterns = schema.get("patternProperties", {})
        declared = schema.get("additionalProperties")
        if declared is True:
            return f"table by free names{_size(schema)}"
        inner: Schema = declared or next(iter(patterns.values()), {})
        return f"table by free names{_size(schema)} of {accepted(inner, style)}"
    if kind in ("integer", "number"):
        if "minimum" in schema and schema["minimum"] == schema.get("maximum"):
            return style.value(schema["minimum"])
        return " ".join([kind, *(f"{word} {_number(schema[key])}" for key, word in _BOUNDS if key in schema)])
    rule = PATTERNS.get(schema.get("pattern", ""), "")
    return f"{kind or 'any'}{_size(schema)}{'; ' + rule if rule else ''}"


def _size(schema: Schema) -> str:
    for low, high, unit in _SIZES:
        if high in schema:
            return f" ({schema.get(low, 0)} to {schema[high]:,} {unit})"
    return ""


def _number(value: float) -> str:
    if value == 2**63 - 1:
        return "2^63-1"
    if isinstance(value, int):
        power = len(str(value)) - 1
        return f"10^{power}" if power > 6 and value == 10**power else f"{value:,}"
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:g}")
