"""A call tree as a Python expression, laid out as ruff's formatter would.

Tests: tests/blueprint/eject/test_expression.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from composer.spec.lazy_call import LazyCall

WIDTH = 120
"""Characters of the longest line."""
STEP = 4

Named = Callable[[str], str]
"""From a call's target to the expression that names it in the file."""


@dataclass(frozen=True)
class _Group:
    """Brackets and the items between them; a plain text has none."""

    before: str
    items: tuple[_Group, ...] = ()
    after: str = ""
    one_a_line: bool = False
    """Whether entries that do not fit beside the brackets are never put on one line together."""
    separator: str = ","
    """Empty for the two halves of a comprehension, which no comma parts."""

    @property
    def flat(self) -> str:
        """The expression on one line."""
        return self.before + f"{self.separator} ".join(item.flat for item in self.items) + self.after


def expression(value: Any, named: Named, indent: int, prefix: str = "") -> str:
    """``value``, a ``LazyCall`` or a plain value, as source after ``prefix`` on a line indented by ``indent``."""
    return "\n".join(_lines(_group(value, named), indent, prefix, ""))


def _group(value: Any, named: Named) -> _Group:
    if isinstance(value, LazyCall):
        words = (_prefixed(f"{name}=", _group(item, named)) for name, item in value.kwargs.items())
        return _Group(f"{named(value.target)}(", (*_items(value.args, named), *words), ")")
    if isinstance(value, Mapping):
        entries = (_prefixed(f"{_plain(name)}: ", _group(item, named)) for name, item in value.items())
        return _Group("{", tuple(entries), "}", one_a_line=True)
    if isinstance(value, list):
        return _list(value, named)
    if isinstance(value, tuple):
        return _Group("(", tuple(_items(value, named)), ",)" if len(value) == 1 else ")", one_a_line=True)
    return _Group(_plain(value))


def _plain(value: object) -> str:
    if isinstance(value, str):
        has_double_alone = '"' in value and "'" not in value
        return repr(value) if has_double_alone or not value.isprintable() else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"a call's argument is a plain value, got {value!r}")


def _items(values: Sequence[Any], named: Named) -> Iterator[_Group]:
    """Entries, several equal modules in a row as a comprehension: each is made anew."""
    runs = [*_runs(values)]
    for count, value in runs:
        # Two of several arguments that happen to be equal are arguments of different meaning.
        if _is_worth(count, value) and (len(runs) == 1 or count > 2):
            yield _prefixed("*", _repeated(count, value, named))
        else:
            yield from [_group(value, named)] * count


def _list(values: list[Any], named: Named) -> _Group:
    runs = [*_runs(values)]
    if len(runs) == 1 and _is_worth(*runs[0]):
        return _repeated(*runs[0], named)
    return _Group("[", tuple(_items(values, named)), "]", one_a_line=True)


def _runs(values: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    # By what is printed: 1, 1.0 and True are equal in Python, and not the same argument.
    for _, equal in groupby(values, key=repr):
        value, *others = equal
        yield 1 + len(others), value


def _is_worth(count: int, value: Any) -> bool:
    """Whether equal modules read better as a comprehension: those that hold others do."""
    return count > 1 and isinstance(value, LazyCall) and any(isinstance(item, LazyCall) for item in value.args)


def _repeated(count: int, value: Any, named: Named) -> _Group:
    halves = (_group(value, named), _Group(f"for _ in range({count})"))
    return _Group("[", halves, "]", one_a_line=True, separator="")


def _prefixed(text: str, group: _Group) -> _Group:
    return _Group(text + group.before, group.items, group.after, group.one_a_line, group.separator)


def _lines(group: _Group, indent: int, prefix: str, suffix: str) -> list[str]:
    """``group`` between ``prefix`` and ``suffix``, on as few lines as the formatter would."""
    whole = " " * indent + prefix + group.flat + suffix
    if len(whole) <= WIDTH or not group.items:
        return [whole]
    inner = indent + STEP
    joined = " " * inner + f"{group.separator} ".join(item.flat for item in group.items)
    if len(joined) <= WIDTH and not group.one_a_line:
        body = [joined]
    elif len(group.items) == 1 and not group.one_a_line:
        body = _lines(group.items[0], inner, "", "")
    else:
        body = [line for item in group.items for line in _lines(item, inner, "", group.separator)]
    return [" " * indent + prefix + group.before, *body, " " * indent + group.after.removeprefix(",") + suffix]
