"""A kind with the keys that are set, in words: for timelines, trees, figures. Tests: tests/blueprint/test_show.py."""

from __future__ import annotations

from collections.abc import Mapping

from composer.interventions.base import Intervention
from composer.spec.family import Family, Spec

_NAMING = ("name", "kind")
"""Keys whose values need no key before them."""


def kind_text(spec: Family) -> str:
    """``lerp toward average tortoise, amount 0.5``; a number where the kind is written as one."""
    short = spec.to_shorthand(spec.model_dump())
    if isinstance(short, int | float):
        return _value(short)
    return " ".join((spec.kind, *_keys(spec)))


def intervention_text(each: Intervention) -> str:
    """What an intervention does, with the keys that have other values than ``keep``."""
    beside = {"moments": each.moments, "target": each.target, "schedules": each.schedules}
    return ", ".join([kind_text(each.do), *(f"{key} {value}" for key, value in beside.items() if value != "keep")])


def _keys(spec: Spec) -> list[str]:
    """The keys that are set, with their values, and a comma between two."""
    values = {key: getattr(spec, key) for key in type(spec).model_fields if key in spec.model_fields_set}
    words = [_value(item) if key in _NAMING else f"{key} {_value(item)}" for key, item in values.items()]
    return [f"{word}," for word in words[:-1]] + words[-1:]


def _value(value: object) -> str:
    if isinstance(value, Family):
        text = kind_text(value)
        return f"({text})" if "," in text else text
    if isinstance(value, Spec):
        return f"({' '.join(_keys(value))})"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{key} {_value(item)}' for key, item in value.items())})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
