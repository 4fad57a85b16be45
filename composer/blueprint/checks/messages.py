"""Messages for pydantic's errors: a table by error type. Tests: tests/errors/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from composer.blueprint.schema import ROLE_RULE, SLUG, SLUG_RULE
from composer.optim.averages import ROLE
from composer.spec.wording import INTEGER_RULE, INTEGERS, describe, near, shorten, written
from composer.tracking.base import EXPERIMENT, EXPERIMENT_RULE

Error = Mapping[str, Any]

BOUND_ERRORS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}


def _expected(what: str) -> Callable[[Error], str]:
    return lambda error: f"expected {what}, got {describe(error['input'])}"


def _bound(words: str, key: str) -> Callable[[Error], str]:
    return lambda error: f"must be {words} {_number(error['ctx'][key])}, got {_number(error['input'])}"


_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}


def out_of_bounds(error: Error, limits: Iterable[object]) -> str:
    """The message for a number outside of its bounds, which names all of them."""
    found = {key: [getattr(limit, key, None) for limit in limits] for key in _BOUNDS}
    bounds = {key: _number(bound) for key, of in found.items() for bound in of if bound is not None}
    words = " and ".join(f"{_BOUNDS[key]} {bound}" for key, bound in bounds.items())
    if set(bounds) == {"ge", "le"}:
        words = f"in {bounds['ge']} to {bounds['le']}"
    return f"must be {words}, got {_number(error['input'])}"


def _length(words: str, key: str, unit: str) -> Callable[[Error], str]:
    def message(error: Error) -> str:
        limit = error["ctx"][key]
        return f"needs {words} {limit} {unit if limit != 1 else _singular(unit)}, has {len(error['input'])}"

    return message


def _singular(unit: str) -> str:
    return {"entries": "entry", "characters": "character"}[unit]


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "2^63-1" if value == INTEGERS[-1] else shorten(f"{value:,}")


def _float(error: Error) -> str:
    value = error["input"]
    is_too_large = isinstance(value, int) and value not in INTEGERS
    return f"{INTEGER_RULE if is_too_large else 'expected number'}, got {describe(value)}"


def _choice(error: Error) -> str:
    return f"must be {error['ctx']['expected']}, got {describe(error['input'])}"


def _pattern(error: Error) -> str:
    pattern = error["ctx"]["pattern"]
    return f"{PATTERNS.get(pattern, f'must match {pattern}')}, got {describe(error['input'])}"


PATTERNS = {SLUG: SLUG_RULE, ROLE: ROLE_RULE, EXPERIMENT: EXPERIMENT_RULE}
"""The rule of a pattern in words."""

_MESSAGES: Mapping[str, Callable[[Error], str]] = {
    "missing": lambda error: f"missing key {error['loc'][-1]!r}",
    "extra_forbidden": lambda error: "unknown key",
    "int_type": _expected("integer"),
    "int_from_float": _expected("integer"),
    "int_parsing_size": lambda error: "integer too large",
    "float_type": _float,
    "string_type": _expected("string"),
    "bool_type": _expected("boolean"),
    "list_type": _expected("list"),
    "tuple_type": _expected("list"),
    "dict_type": _expected("table"),
    "mapping_type": _expected("table"),
    "model_type": _expected("table"),
    "model_attributes_type": _expected("table"),
    "none_required": _expected("nothing"),
    "finite_number": lambda error: f"must be finite, got {error['input']}",
    **{error: _bound(_BOUNDS[key], key) for error, key in BOUND_ERRORS.items()},
    "multiple_of": _bound("a multiple of", "multiple_of"),
    "literal_error": _choice,
    "enum": _choice,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _length("at least", "min_length", "characters"),
    "string_too_long": _length("at most", "max_length", "characters"),
    "too_short": _length("at least", "min_length", "entries"),
    "too_long": _length("at most", "max_length", "entries"),
    "value_error": lambda error: str(error["ctx"]["error"]),
    "assertion_error": lambda error: str(error["ctx"]["error"]),
}


_OTHERWISE = {"gpu": "cuda", "mps": "auto"}
"""Values of other libraries, and what stands for them here."""


def _rewritten(error: Error) -> str:
    """How to write a value that is right but for its type."""
    value = error["input"]
    if error["type"] in ("int_type", "int_from_float") and isinstance(value, float) and value.is_integer():
        return f"write {value:.0f}" if abs(value) < INTEGERS[-1] else ""
    if error["type"] in ("list_type", "tuple_type") and isinstance(value, int | float):
        return f"write [{written(value)}]"
    return ""


def in_words(error: Error) -> tuple[str, str]:
    """Message and hint for one of pydantic's errors; validators of specs write their own messages."""
    known = _MESSAGES.get(error["type"])
    message = known(error) if known else str(error["msg"])
    hint = str(error.get("ctx", {}).get("hint", ""))
    hint = hint or _rewritten(error)
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        choices = [word.strip(" '") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        meant = near(_OTHERWISE.get(error["input"], error["input"]), choices)
        hint = f"did you mean {meant!r}?" if meant else ""
    return message.removesuffix(hint), hint.removeprefix("; ")
