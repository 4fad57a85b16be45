"""The table of a spec's keys: name, accepted values, default, documentation.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic.fields import FieldInfo

from composer.blueprint.inspect.schema_words import Style, accepted
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec, dump_tagged
from tools.reference.markdown import anchor, prose, table

_LINKED = Style(
    family=lambda family: f"[{family.noun()}]({family_page(family.family)})",
    table=lambda name: f"[{name.lower()}](blueprint.md#{anchor(name)})",
    value=lambda value: f"`{toml_value(value)}`",
)


def fields_table(spec: type[Spec]) -> str:
    """One row per key, in declared order; empty for a spec without keys."""
    schema = spec.model_json_schema()
    known = schema.get("properties", {})
    rows = [
        [f"`{name}`", accepted(known[name], _LINKED), default_text(field), prose(field.description or "")]
        for name, field in spec.model_fields.items()
    ]
    return table(["key", "type", "default", "meaning"], rows) if rows else ""


def family_page(family: str) -> str:
    """The file name of a family's page: ``blocks.md``."""
    plural = f"{family[:-1]}ies" if family.endswith("y") else f"{family}s"
    return f"{plural if family != 'data' else family}.md"


def default_text(field: FieldInfo) -> str:
    """The default as TOML; "required"; or "none" for an option that is absent by default."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, Spec) and not isinstance(value, Family):
        return "its defaults"
    return f"`{toml_value(brief(value))}`"


def brief(value: object) -> object:
    """A value as plain data, kinds without the keys that have their defaults."""
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
