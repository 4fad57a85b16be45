"""The table of a spec's keys: name, accepted values, default, documentation.

Tests: tests/docs/test_reference.py.
"""

from __future__ import annotations

from composer.blueprint.inspect.kinds.fields import keys
from composer.blueprint.inspect.kinds.names import plural
from composer.blueprint.inspect.schema_words import Style
from composer.blueprint.syntax.write import toml_value
from composer.spec.family import Spec
from tools.reference.markdown import anchor, prose, table

_LINKED = Style(
    family=lambda family: f"[{family.noun()}]({family_page(family.family)})",
    table=lambda name: f"[{name.lower()}](blueprint.md#{anchor(name)})",
    value=lambda value: f"`{toml_value(value)}`",
)


def fields_table(spec: type[Spec]) -> str:
    """One row per key, in declared order; empty for a spec without keys."""
    rows = [
        [f"`{key.name}`", key.accepts, key.note or f"`{key.default}`", prose(key.meaning)]
        for key in keys(spec, _LINKED)
    ]
    return table(["key", "type", "default", "meaning"], rows) if rows else ""


def family_page(family: str) -> str:
    """The file name of a family's page: ``blocks.md``."""
    return f"{plural(family)}.md"
