"""Write a value as TOML on one line. Tests: tests/blueprint/test_explain.py."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from composer.blueprint.syntax.nodes import show_path


def toml_value(value: object) -> str:
    """A value as TOML: ``0.5``, ``"adam"``, ``[1, 2]``, ``{ kind = "adam", learning_rate = 0.0003 }``; never None."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{show_path((str(key),))} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(value) if isinstance(value, float) else str(value)
