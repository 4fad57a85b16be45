"""Line and column of every key and value of a TOML text, so that messages can point at them.

``tomli`` returns values without locations. This scanner walks the same text and returns locations without values. It
leaves errors of syntax to ``tomli`` and stops at the first of them. It also finds what ``tomli`` reports without a
location: keys that are set twice, and nesting too deep for a recursive parser.
Source: TOML 1.1, https://toml.io/en/v1.1.0. Tests: tests/blueprint/test_positions.py.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

import tomli

Path = tuple[str | int, ...]

MAX_NESTING = 32
"""Deepest nesting of tables and arrays: more than an experiment needs, less than Python's stack allows."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_BARE_VALUE = re.compile(r"[^,\]}#\n\"'\[{]+")


@dataclass(frozen=True)
class Location:
    """Line and column (from 1, in characters) of a key and of its value. A value without a key has its own twice."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True)
class Duplicate:
    """A key or a table that is set twice, with the locations of both."""

    path: Path
    first: tuple[int, int]
    second: tuple[int, int]
    is_table: bool


@dataclass
class Scan:
    """The result of a scan. ``broken`` and ``too_deep`` say where it stopped early."""

    locations: dict[Path, Location] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)
    too_deep: tuple[int, int] | None = None
    broken: tuple[int, int] | None = None


class _StopError(Exception):
    """The text is not TOML here, or nests too deep."""


def scan(text: str) -> Scan:
    """Locate all keys and values of ``text``, whose lines end in line feeds. Never raises: see ``Scan``."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _StopError:
        scanner.found.broken = scanner.where(scanner.at)
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Scan()
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._arrays: dict[Path, int] = {}
        self._set: dict[Path, tuple[int, int]] = {}

    def where(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def document(self) -> None:
        prefix: Path = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
            self._end_of_line()

    def _header(self) -> Path:
        start = self.where(self.at)
        is_array = self.text.startswith("[[", self.at)
        closing = "]]" if is_array else "]"
        self.at += len(closing)
        keys = self._keys()
        self._expect(closing)
        path: Path = ()
        for key, place in keys[:-1]:
            path = self._entered((*path, key), place)
        last, place = keys[-1]
        path = (*path, last)
        if is_array:
            self.found.locations.setdefault(path, Location(place, start))
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        else:
            self._once(path, place, is_table=True)
        self._deep(path)
        # The header of the table itself wins over a longer header that opened it before.
        self.found.locations[path] = Location(place, start)
        return path

    def _entered(self, path: Path, place: tuple[int, int]) -> Path:
        """The path of a parent that a header names; for an array of tables, that of its newest entry."""
        self.found.locations.setdefault(path, Location(place, place))
        return (*path, self._arrays[path]) if path in self._arrays else path

    def _pair(self, prefix: Path) -> None:
        keys = self._keys()
        self._expect("=")
        self._skip(_SPACE)
        path = prefix
        for key, place in keys[:-1]:
            path = (*path, key)
            self.found.locations.setdefault(path, Location(place, place))
        last, place = keys[-1]
        path = (*path, last)
        self._once(path, place, is_table=False)
        self.found.locations[path] = Location(place, self.where(self.at))
        self._value(path)

    def _keys(self) -> list[tuple[str, tuple[int, int]]]:
        keys = []
        while True:
            self._skip(_SPACE)
            place = self.where(self.at)
            keys.append((self._key(), place))
            self._skip(_SPACE)
            if self.text[self.at : self.at + 1] != ".":
                return keys
            self.at += 1

    def _key(self) -> str:
        for pattern in (_BARE_KEY, *_STRINGS[2:]):
            match = pattern.match(self.text, self.at)
            if match:
                self.at = match.end()
                return match.group() if pattern is _BARE_KEY else _unquoted(match.group())
        raise _StopError

    def _value(self, path: Path) -> None:
        self._deep(path)
        opening = self.text[self.at : self.at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._scalar()

    def _scalar(self) -> None:
        for pattern in (*_STRINGS, _BARE_VALUE):
            match = pattern.match(self.text, self.at)
            if match:
                self.at = match.end()
                return
        raise _StopError

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._took("]"):
                return
            place = self.where(self.at)
            self.found.locations[(*path, index)] = Location(place, place)
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            if not self._took(","):
                self._expect("]")
                return

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._skip(_BLANK)
            if self._took("}"):
                return
            self._pair(path)
            self._skip(_BLANK)
            if not self._took(","):
                self._expect("}")
                return

    def _once(self, path: Path, place: tuple[int, int], is_table: bool) -> None:
        if path in self._set:
            self.found.duplicates.append(Duplicate(path, self._set[path], place, is_table))
        self._set[path] = place

    def _deep(self, path: Path) -> None:
        if len(path) > MAX_NESTING:
            self.found.too_deep = self.where(self.at)
            raise _StopError

    def _end_of_line(self) -> None:
        self._skip(_SPACE)
        if self.at < len(self.text) and self.text[self.at] not in "\n#":
            raise _StopError

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _took(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _expect(self, token: str) -> None:
        self._skip(_SPACE)
        if not self._took(token):
            raise _StopError


def _unquoted(raw: str) -> str:
    """The name in a quoted key, its escapes read by ``tomli``."""
    if raw[0] == "'" or "\\" not in raw:
        return raw[1:-1]
    try:
        return str(tomli.loads(f"key = {raw}")["key"])
    except tomli.TOMLDecodeError as error:
        raise _StopError from error
