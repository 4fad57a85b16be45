"""The table of a spec's keys: name, type with its bounds, default, documentation.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from composer.blueprint.checks.messages import PATTERNS
from composer.blueprint.inspect.reference.markdown import anchor, prose, table
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import FAMILIES, FAMILY_KEY, Family, Spec, dump_tagged

Schema = Mapping[str, Any]
_BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
_SIZES = (
    ("minItems", "maxItems", "entries"),
    ("minLength", "maxLength", "characters"),
    ("minProperties", "maxProperties", "keys"),
)


def fields_table(spec: type[Spec]) -> str:
    """A row a key, in declared order; empty for a spec without keys."""
    schema = spec.model_json_schema()
    known = schema.get("properties", {})
    rows = [
        [f"`{name}`", type_text(known[name], schema), default_text(field), prose(field.description or "")]
        for name, field in spec.model_fields.items()
    ]
    return table(["key", "type", "default", "meaning"], rows) if rows else ""


def family_page(family: str) -> str:
    """The file name of a family's page: ``blocks.md``."""
    plural = f"{family[:-1]}ies" if family.endswith("y") else f"{family}s"
    return f"{plural if family != 'data' else family}.md"


def default_text(field: FieldInfo) -> str:
    """The default as TOML, "required", or "none" where leaving a key out is a choice of its own."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, Spec) and not isinstance(value, Family):
        return "its defaults"
    return f"`{toml_value(brief(value))}`"


def brief(value: object) -> object:
    """A value as a blueprint would write it: kinds without the keys that are at their defaults."""
    if isinstance(value, Family):
        short = dump_tagged(value)
        if not isinstance(short, Mapping):
            return short
        changed = {
            name: brief(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if field.is_required() or getattr(value, name) != field.get_default(call_default_factory=True)
        }
        return {"kind": value.kind, **changed}
    if isinstance(value, list | tuple):
        return [brief(item) for item in value]
    return value


def type_text(schema: Schema, root: Schema) -> str:
    """What a key takes, in words: ``integer, 1 to 65,536``, a link to a family, ``"auto"`` or ``"cpu"``."""
    return " or ".join(dict.fromkeys(_alternatives(schema, root)))


def _alternatives(schema: Schema, root: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield f"[{name.lower()}](blueprint.md#{anchor(name)})"
    elif FAMILY_KEY in schema:
        family = FAMILIES[schema[FAMILY_KEY]]
        yield f"[{family.noun()}]({family_page(family.family)})"
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            if option.get("type") != "null":
                yield from _alternatives(option, root)
    else:
        yield _simple(schema, root)


def _simple(schema: Schema, root: Schema) -> str:
    if "enum" in schema or "const" in schema:
        *others, last = (f"`{toml_value(value)}`" for value in schema.get("enum", [schema.get("const")]))
        return f"{', '.join(others)} or {last}" if others else last
    kind = schema.get("type")
    if kind == "array":
        return f"list{_size(schema)} of {type_text(schema.get('items', {}), root)}"
    if kind == "object":
        patterns = schema.get("patternProperties", {})
        inner: Schema = schema.get("additionalProperties") or next(iter(patterns.values()), {})
        return f"table by free names{_size(schema)} of {type_text(inner, root)}"
    if kind in ("integer", "number"):
        bounds = [f"{word} {_number(schema[key])}" for key, word in _BOUNDS if key in schema]
        is_fixed = "minimum" in schema and schema["minimum"] == schema.get("maximum")
        return f"`{schema['minimum']}`" if is_fixed else " ".join([kind, *bounds])
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
