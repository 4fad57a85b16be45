"""A value of a blueprint as people read it: kinds and parts as calls, ``simba(width=128, blocks=1)``.

Tests: tests/blueprint/inspect/test_as_written.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from composer.blueprint.syntax.nodes import show_path
from composer.blueprint.syntax.write import toml_value

NAMED_BY = ("use", "kind")
"""The keys that name a part or a kind."""


def callee(value: object) -> str | None:
    """The part or the kind that a table names; None for any other value."""
    if not isinstance(value, Mapping):
        return None
    return next((str(value[key]) for key in NAMED_BY if key in value), None)


def call_text(value: object) -> str:
    """A value in one line: a table with ``kind`` or ``use`` as a call, without brackets where it has no argument.

    Large integers are written with ``_``, everything else as in TOML.
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(call_text, value))}]"
    if isinstance(value, bool) or not isinstance(value, Mapping | int):
        return toml_value(value)
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    name = callee(value)
    arguments = [(key, item) for key, item in value.items() if name is None or key not in NAMED_BY]
    inner = ", ".join(f"{show_path((str(key),))}={call_text(item)}" for key, item in arguments)
    if name is None:
        return f"{{{inner}}}"
    return f"{name}({inner})" if inner else name
