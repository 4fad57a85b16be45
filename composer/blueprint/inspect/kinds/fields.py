"""The keys of a spec: what each accepts, its default, its meaning.

Tests: tests/blueprint/inspect/test_kinds.py, tests/docs/test_reference.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic.fields import FieldInfo

from composer.blueprint.inspect.schema_words import Style, accepted
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Family, Spec, dump_tagged
from composer.spec.wording import with_article


class Key(NamedTuple):
    """A key of a spec, in words."""

    name: str
    accepts: str
    default: str
    """The default as TOML; empty for a key that is required, for an absent option and for a table of defaults."""
    note: str
    """``required``, ``none`` (an option that is absent by default) or ``its defaults``; empty where there is one."""
    meaning: str


def family_words(family: type[Family]) -> str:
    """``a number or a schedule``."""
    return " or ".join([*(f"a {name}" for name in family.shorthands()), with_article(family.noun())])


PLAIN = Style(family=family_words, table=lambda name: f"a table {name.lower()}", value=toml_value)


def keys(spec: type[Spec], style: Style = PLAIN) -> Iterator[Key]:
    """The keys in declared order."""
    known = spec.model_json_schema().get("properties", {})
    for name, field in spec.model_fields.items():
        default, note = _default(field)
        yield Key(name, accepted(known[name], style), default, note, spec.meaning(name))


def _default(field: FieldInfo) -> tuple[str, str]:
    if field.is_required():
        return "", "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "", "none"
    if isinstance(value, Spec) and not isinstance(value, Family):
        return "", "its defaults"
    return toml_value(brief(value)), ""


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
