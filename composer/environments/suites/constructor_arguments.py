"""Keyword arguments of a constructor, as TOML writes them: nested lists and tables of numbers, strings and booleans.

Tests: tests/environments/test_faulty_environments.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from composer.spec.wording import describe

LARGEST = 1e15
MOST_ENTRIES, DEEPEST, LONGEST = 10_000, 16, 10_000
"""Most values, most tables and lists around one, most characters of a string."""


def _checked(value: Any) -> Any:
    if isinstance(value, Mapping):
        entries = sum(1 for item in value.values() for _ in _walk(item, 1))
        if entries > MOST_ENTRIES:
            raise _problem(f"needs at most {MOST_ENTRIES:,} values, has more")
        return {key: _plain(item) for key, item in value.items()}
    return value


def _walk(value: Any, depth: int) -> Iterator[Any]:
    """Every value inside; raises for what is no argument."""
    if depth > DEEPEST:
        raise _problem(f"lists and tables may be nested {DEEPEST} deep")
    yield value
    items: Iterable[Any] = value if isinstance(value, list | tuple) else ()
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise _problem(f"the keys of a table are strings, got {describe(bad[0])}")
        items = value.values()
    elif not isinstance(value, list | tuple):
        _check_single(value)
    for item in items:
        yield from _walk(item, depth + 1)


def _check_single(value: Any) -> None:
    if not isinstance(value, bool | int | float | str):
        raise _problem(f"expected a number, string, boolean, list or table, got {describe(value)}")
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise _problem(f"a string needs at most {LONGEST:,} characters, has {len(value):,}")
    elif not math.isfinite(value) or abs(value) > LARGEST:
        raise _problem(f"numbers must be in -{LARGEST:g} to {LARGEST:g}, got {describe(value)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("argument", "{message}", {"message": message})


Arguments = Annotated[
    dict[str, Any],
    Field(max_length=64),
    BeforeValidator(_checked),
    WithJsonSchema({"type": "object", "additionalProperties": True, "maxProperties": 64}),
]
"""Arguments by name. A list stays a list."""
