"""Lay differences out as lines of a terminal: marks, aligned columns, groups by table.

Only what both sides share is ever shortened. A row that is too long becomes a row for each argument that differs;
where there is none, both values have lines of their own. Tests: tests/blueprint/inspect/test_diff_rows.py.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any, Final, NamedTuple

from composer.blueprint.inspect.as_written import ABSENT, Change
from composer.blueprint.inspect.call_text import NAMED_BY, call_text, callee

ELLIPSIS: Final = "…"
ARROW: Final = " → "
LONGEST_KEY: Final = 0.5
"""Keys above this share of the width have no say in where values begin, unless all values fit beside them."""
LONGEST_LEFT: Final = 24
"""Left values above these characters have no say in where arrows stand."""


class Span(NamedTuple):
    """Text of one style: ``added``, ``removed``, ``changed``, ``same``, ``title``, or none."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def plain_text(lines: Sequence[Line]) -> str:
    """The lines without styles."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


def diff_rows(changes: Sequence[Change], width: int) -> list[Line]:
    """The lines of all changes in ``width`` columns, those of a table together.

    A line is longer only where one word of a value is.
    """
    tables = {one.path[:length]: None for one in changes for length in range(1, len(one.path) + 1)}
    order = {path: number for number, path in enumerate(tables)}
    inner = {one.path: [order[one.path[: length + 1]] for length in range(len(one.path))] for one in changes}
    rows = [_Row(one) for one in sorted(changes, key=lambda one: inner[one.path])]
    lines: list[Line] = []
    for block in _blocks(rows):
        fitting: list[_Row] = []
        # Longer keys leave less room for values: again until nothing changes.
        while len(fitting) < len(block):
            fitting, block = block, list(_fitting(block, _key_width(block, width), width))
        lines += [(), *_block_lines(block, _key_width(block, width), width)]
    return lines[1:]


def _blocks(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Rows by table; tables of one row each that follow each other stand together."""
    blocks: list[list[_Row]] = []
    for _, group in groupby(rows, key=lambda row: row.change.path[:1]):
        table = [*group]
        if len(table) == 1 and blocks and len({row.change.path[:1] for row in blocks[-1]}) == len(blocks[-1]):
            blocks[-1] += table
        else:
            blocks.append(table)
    return blocks


@dataclass(frozen=True)
class _Row:
    change: Change
    is_head: bool = False
    """Whether only the names of parts and kinds are compared: rows below it have their arguments."""

    @property
    def mark(self) -> str:
        texts = self.change.texts()
        return "+" if texts[0] == "-" else "-" if texts[1] == "-" else "~"

    @property
    def texts(self) -> tuple[str, ...]:
        """One text where the other side has none, else two."""
        if self.is_head:
            sides = zip(_values(self.change), (self.change.left, self.change.right), strict=True)
            notes = "(…)" if self.shares else ""
            named = [(callee(value) or "", " (default)" if written is ABSENT else "") for value, written in sides]
            return tuple(f"{name}{notes}{note}" for name, note in named if name)
        texts = self.change.texts()
        return tuple(text for text, mark in zip(texts, "+-", strict=True) if mark != self.mark)

    @property
    def shares(self) -> bool:
        """Whether both sides have an argument of the same value."""
        left, right = _values(self.change)
        if not (isinstance(left, Mapping) and isinstance(right, Mapping)):
            return False
        return any(not _differ(value, right.get(key, ABSENT)) for key, value in left.items() if key not in NAMED_BY)

    @property
    def length(self) -> int:
        return len(ARROW.join(self.texts))


def _values(change: Change) -> list[Any]:
    pairs = zip((change.left, change.right), change.defaults, strict=True)
    return [default if value is ABSENT else value for value, default in pairs]


def _key_width(rows: Sequence[_Row], width: int) -> int:
    longest = max(LONGEST_KEY * width, width - 4 - max((row.length for row in rows), default=0))
    return max((len(row.change.key) for row in rows if len(row.change.key) <= longest), default=0)


def _room(row: _Row, keys: int, width: int) -> int:
    """Columns that a row's values have: mark, key and two spaces stand before them."""
    return width - 4 - max(keys, len(row.change.key))


def _fitting(rows: Sequence[_Row], keys: int, width: int) -> Iterator[_Row]:
    """The rows; for one that is too long the row of its names, and a row for each argument that differs."""
    for row in rows:
        names = [callee(value) for value in _values(row.change)]
        if row.is_head or row.length <= _room(row, keys, width) or (arguments := _arguments(row.change)) is None:
            yield row
            continue
        if names[0] != names[1]:
            yield replace(row, is_head=True)
        yield from _fitting(arguments, keys, width)


def _arguments(change: Change) -> list[_Row] | None:
    """The arguments of tables that differ; None where a side is no table."""
    left, right = _values(change)
    if not all(isinstance(each, Mapping) for each in (left, right) if each is not ABSENT):
        return None
    ours, theirs = ({} if each is ABSENT else each for each in (left, right))
    pairs = {key: (ours.get(key, ABSENT), theirs.get(key, ABSENT)) for key in {**ours, **theirs}}
    names = NAMED_BY if callee(left) or callee(right) else ()
    return [
        _Row(Change((*change.path, key), *pair)) for key, pair in pairs.items() if key not in names and _differ(*pair)
    ]


def _differ(left: Any, right: Any) -> bool:
    return left is ABSENT or right is ABSENT or call_text(left) != call_text(right)


def _block_lines(rows: Sequence[_Row], keys: int, width: int) -> Iterator[Line]:
    """Lines of rows whose arrows stand in one column, where that fits."""
    pairs = [row for row in rows if len(row.texts) == 2 and row.length <= _room(row, keys, width)]
    left = max((len(row.texts[0]) for row in pairs if len(row.texts[0]) <= LONGEST_LEFT), default=0)
    for row in rows:
        mark = Span(f"{row.mark} ", _STYLES[row.mark])
        if row.length > _room(row, keys, width):
            yield (mark, Span(row.change.key))
            yield from _below(row.mark, row.texts, width)
            continue
        before = (mark, Span(f"{row.change.key.ljust(keys)}  "))
        if len(row.texts) < 2:
            yield (*before, Span("".join(row.texts), _STYLES[row.mark]))
            continue
        fits = left + len(ARROW) + len(row.texts[1]) <= _room(row, keys, width)
        ours, theirs = _shared(*row.texts)
        gap = Span(" " * (left - len(row.texts[0]) if fits else 0) + ARROW, "same")
        yield (*before, *_styled(ours, "removed"), gap, *_styled(theirs, "added"))


_STYLES: Final = {"+": "added", "-": "removed", "~": "changed"}


def _below(mark: str, texts: Sequence[str], width: int) -> Iterator[Line]:
    """Values below their key: without what they share at their ends where they are too long, broken at spaces."""
    if len(texts) == 2 and max(map(len, texts)) > width - 6:
        texts = [
            f"{ELLIPSIS if before else ''}{own}{ELLIPSIS if after else ''}" for before, own, after in _shared(*texts)
        ]
    for sign, text in zip("-+" if len(texts) == 2 else mark, texts, strict=True):
        for number, line in enumerate(textwrap.wrap(text, width - 6, break_long_words=False, break_on_hyphens=False)):
            first = Span(f"    {sign} " if number == 0 and len(texts) == 2 else "      ", _STYLES[sign])
            yield (first, Span(line, _STYLES[sign]))


_Parts = tuple[str, str, str]


def _shared(left: str, right: str) -> tuple[_Parts, _Parts]:
    """Both texts as what they share at the start, their own, and what they share at the end; whole words each."""
    before = _shared_start(left, right)
    after = _shared_start(left[before:][::-1], right[before:][::-1])
    return tuple((each[:before], each[before : len(each) - after], each[len(each) - after :]) for each in (left, right))  # type: ignore[return-value]


def _shared_start(left: str, right: str) -> int:
    """Characters that both begin with, without a word that goes on in one of them."""
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
    goes_on = any(re.match(r"[\w.]", each[common:]) for each in (left, right))
    return len(re.sub(r"[\w.]+$", "", left[:common])) if goes_on else common


def _styled(parts: _Parts, style: str) -> Iterator[Span]:
    for text, own in zip(parts, ("same", style, "same"), strict=True):
        if text:
            # A bracket that both end with has the colour of what it closes.
            yield Span(text, own if len(text) > 2 else style)
