"""An explanation as text and as the table of ``--json``."""

from __future__ import annotations

from typing import Any

from composer.blueprint.inspect.explain.find import Explanation
from composer.blueprint.inspect.explain.history import Setting
from composer.blueprint.syntax.write import toml_value
from composer.spec.quantities import columns
from composer.spec.wording import shorten

MAX_VALUE = 60
"""Longest value in a list of entries."""


def explain_json(found: Explanation) -> dict[str, Any]:
    """Value, documentation and every setting; the last setting holds."""
    return {
        "key": found.key,
        "value": found.value,
        "documentation": found.field.documentation,
        "accepts": found.field.accepts,
        "settings": [_table(setting) for setting in found.settings],
        "children": [{"key": key, **_table(setting)} for key, setting in found.children.items()],
    }


def explain_text(found: Explanation) -> str:
    """The same as text."""
    is_table = isinstance(found.value, dict | list)
    lines = [found.key if is_table else f"{found.key} = {_value(found.value)}"]
    documentation = found.field.documentation.replace("``", "")
    lines += [f"  {text}" for text in (documentation, found.field.accepts) if text]
    if found.settings and not (is_table and found.children):
        lines += ["", "set by, in order; the last one holds:", *columns([_row(one) for one in found.settings])]
    if found.children:
        rows = [(f"  {key} = {_value(one.value)}", _place(one)) for key, one in found.children.items()]
        lines += ["", *columns(rows)]
    return "\n".join(lines)


def _row(setting: Setting) -> tuple[str, ...]:
    return f"  {setting.layer}", _value(setting.value), _place(setting)


def _place(setting: Setting) -> str:
    if setting.origin is None:
        return "a default" + "".join(f" of {note}" for note in setting.notes)
    origin = setting.origin
    return f"{origin.file}:{origin.line}:{origin.column}" + "".join(f" ({note})" for note in setting.notes)


def _value(value: object) -> str:
    return "(absent)" if value is None else shorten(toml_value(value), MAX_VALUE)


def _table(setting: Setting) -> dict[str, Any]:
    origin = setting.origin
    return {
        "layer": setting.layer,
        "value": setting.value,
        "file": origin.file if origin else None,
        "line": origin.line if origin else None,
        "column": origin.column if origin else None,
        "notes": list(setting.notes),
    }
