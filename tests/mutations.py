"""Every way to spoil one leaf of a TOML text: its key misspelt, doubled or gone, its value of another type or size.

A ``Mutation`` is a text in place of another at an offset, and the line on which it must be refused. Lines keep their
numbers, but for a doubled key that stands on a line of its own.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path as File
from typing import Any

from typer.testing import CliRunner

from composer.blueprint.syntax.positions import Path as Steps
from composer.blueprint.syntax.positions import scan
from composer.cli import app
from composer.spec.wording import near

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"\"\"\".*?\"\"\"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,\]}#]+", re.DOTALL)
_SKIPPED = re.compile(r"(?:\s|#[^\n]*)*")


@dataclass(frozen=True)
class Mutation:
    """``new`` in place of ``old`` at ``offset``; ``said`` is part of what must be told on ``line``."""

    what: str
    offset: int
    old: str
    new: str
    line: int
    said: str = ""

    def applied(self, text: str) -> str:
        """The spoilt text."""
        assert text.startswith(self.old, self.offset)
        return text[: self.offset] + self.new + text[self.offset + len(self.old) :]


@dataclass(frozen=True)
class Leaf:
    """A key and its value as a text writes them."""

    path: Steps
    line: int
    start: int
    """Offset of the key's last step."""
    value_line: int
    value: str
    value_start: int
    is_statement: bool
    """Whether the key begins its line; else it stands in an inline table."""

    @property
    def value_end(self) -> int:
        return self.value_start + len(self.value)


Problems = list[dict[str, Any]]


def answers(texts: Iterable[str], folder: File) -> list[Problems]:
    """What ``composer check --json`` says of texts, written as files of one folder and checked by one command."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"spoilt-{number}.toml")
        files[-1].write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["check", *map(str, files), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    problems: dict[str, Problems] = {str(file): [] for file in files}
    of_parents: Problems = []
    for problem in json.loads(result.stdout)["problems"]:
        problems.get(problem["file"], of_parents).append(problem)
    assert result.exit_code == (2 if of_parents or any(problems.values()) else 0)
    return list(problems.values())


def unguarded(mutations: Iterable[Mutation], text: str, folder: File) -> list[tuple[Mutation, Problems]]:
    """The mutations that are not refused on their line, in the words that they ask for, and what is said instead."""
    tried = list(mutations)
    if not tried:
        return []
    found = answers((focused(mutation.applied(text), mutation.line) for mutation in tried), folder)
    rest = [mutation for mutation, problems in zip(tried, found, strict=True) if not _is_refused(mutation, problems)]
    # Without the other variants a value may be one to which nothing refers: then that alone is told.
    found = answers((mutation.applied(text) for mutation in rest), folder) if rest else []
    return [(mutation, told) for mutation, told in zip(rest, found, strict=True) if not _is_refused(mutation, told)]


def _is_refused(mutation: Mutation, problems: Problems) -> bool:
    here = [problem for problem in problems if problem["line"] == mutation.line]
    return any(mutation.said in f"{problem['message']}; {problem['hint']}" for problem in here)


def focused(text: str, line: int) -> str:
    """The text without the variants that a line is not of, which would be judged too; lines keep their numbers."""
    lines, owners = text.split("\n"), []
    for written in lines:
        header = re.match(r"\[(?:variants\.([^.\]]+))?", written)
        owners.append((header.group(1) if header else owners[-1]) if owners else None)
    kept = owners[line - 1]
    return "\n".join(written if owner in (None, kept) else "" for written, owner in zip(lines, owners, strict=True))


def leaves(text: str) -> Iterator[Leaf]:
    """Every key with a value of its own; entries of lists and table headers have none."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for path, place in scan(text).locations.items():
        if place.key == place.value or not isinstance(path[-1], str):
            continue
        start = starts[place.key[0] - 1] + place.key[1] - 1
        match = _KEY.match(text, start)
        value_start = starts[place.value[0] - 1] + place.value[1] - 1
        if text[value_start] == "[" and _is_header(text, starts[place.value[0] - 1]):
            continue
        if match and match.group() == path[-1]:
            before = text[starts[place.key[0] - 1] : start]
            value = text[value_start : end_of_value(text, value_start)]
            is_statement = re.fullmatch(r"\s*(?:[A-Za-z0-9_-]+\s*\.\s*)*", before) is not None
            yield Leaf(path, place.key[0], start, place.value[0], value, value_start, is_statement)


def entries(text: str) -> Iterator[tuple[Steps, int, int, str]]:
    """Scalars in lists: path, line, offset and text of each."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for path, place in scan(text).locations.items():
        offset = starts[place.value[0] - 1] + place.value[1] - 1
        if isinstance(path[-1], int) and text[offset] not in "[{":
            yield path, place.value[0], offset, text[offset : end_of_value(text, offset)]


def headers(text: str) -> Iterator[tuple[Steps, int, int]]:
    """Every ``[table]``: its path, its line and the offset of its last key."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for path, place in scan(text).locations.items():
        line = place.value[0]
        if isinstance(path[-1], str) and place.key[0] == line and _is_header(text, starts[line - 1]):
            offset = starts[line - 1] + place.key[1] - 1
            if text[starts[line - 1] : offset].startswith("[") and text.startswith(f"{path[-1]}]", offset):
                yield path, line, offset


def end_of_value(text: str, start: int) -> int:
    """Offset behind the value that begins at ``start``."""
    if text[start] not in "[{":
        match = _SCALAR.match(text, start)
        assert match
        return match.end()
    at = start + 1
    while True:
        match = _SKIPPED.match(text, at)
        at = match.end() if match else at
        if text[at] in "]}":
            return at + 1
        at = end_of_value(text, at) if text[at] in "[{\"'" else at + 1


def misspelt(name: str) -> str:
    """A near name that is another one."""
    middle = len(name) // 2
    return name[:middle] + name[middle + 1 :] if len(name) > 3 else name + "x"


def misspellings(text: str) -> Iterator[Mutation]:
    """One for every key and every header."""
    found = [(leaf.path, leaf.start, leaf.line) for leaf in leaves(text)]
    for path, offset, line in [*found, *((path, offset, line) for path, line, offset in headers(text))]:
        if is_free(path):
            continue
        name = str(path[-1])
        wrong = misspelt(name)
        meant = f"'{name}'" if near(wrong, [name]) else ""
        yield Mutation(f"{name} misspelt", offset, name, wrong, line, meant)


def is_free(path: Steps) -> bool:
    """Whether a key is a name that the blueprint gives itself, and may be any, or one of another's constructor."""
    if is_foreign(path):
        return True
    below = path[2:] if path[0] == "variants" else path
    named = len(below) == 2 and below[0] in ("averages", "interventions", "penalties") and below[1] != "target_critic"
    return named or (path[0] == "variants" and len(path) == 2)


def is_foreign(path: Steps) -> bool:
    """Whether it is an argument of a constructor of Gymnasium, which alone knows what it takes."""
    return path[-2:-1] == ("kwargs",)


def wrong_values(text: str) -> Iterator[Mutation]:
    """Values of other types, and numbers out of range."""
    found = [(leaf.path, leaf.value_line, leaf.value_start, leaf.value) for leaf in leaves(text)]
    for path, line, offset, value in [*found, *entries(text)]:
        for new in () if is_foreign(path) else _wrong(path, value):
            yield Mutation(f"{'.'.join(map(str, path))} = {new}", offset, value, new, line)


def fewer_wrong_values(text: str) -> Iterator[Mutation]:
    """Two for each value, of other types; for a number one of another type, one too small and one too large."""
    for _, group in groupby(wrong_values(text), key=lambda mutation: mutation.offset):
        found = list(group)
        yield from found[:2] if len(found) <= 5 else [found[0], *found[-2:]]


def places(text: str, mutations: Iterable[Mutation]) -> Iterator[tuple[Mutation, tuple[object, ...] | None]]:
    """Mutations with what decides how each is refused; None where it stands on no key.

    That is the kind or part of the nearest table that has one, the last two steps of the key, how the key is written,
    whether a variant has it, and the wrong value. Places that are equal in two files are read by the same code.
    """
    values = tomllib.loads(text)
    keys = {at: leaf for leaf in leaves(text) for at in (leaf.start, leaf.value_start)}
    for mutation in mutations:
        leaf = keys.get(mutation.offset)
        wrong = mutation.new if leaf is not None and mutation.offset == leaf.value_start else ""
        yield mutation, None if leaf is None else (*place_of(values, leaf.path), leaf.is_statement, wrong)


def place_of(values: dict[str, Any], path: Steps) -> tuple[object, ...]:
    """The kind or part of the nearest table that has one, the last two steps, and whether a variant has the key."""
    table, kind = values, None
    for step in path[:-1]:
        table = table[step]  # type: ignore[index]
        if isinstance(table, dict):
            kind = table.get("kind") or table.get("use") or kind
    return (kind, *("#" if isinstance(step, int) else step for step in path[-2:]), path[0] == "variants")


@cache
def first_of_each_place(
    files: tuple[File, ...], mutations: Callable[[str], Iterator[Mutation]]
) -> dict[File, list[Mutation]]:
    """The mutations of each file whose place no file before it has: about a third, for blueprints are alike."""
    seen: set[tuple[object, ...]] = set()
    first: dict[File, list[Mutation]] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        found = list(places(text, mutations(text)))
        first[file] = [mutation for mutation, place in found if place is None or place not in seen]
        seen |= {place for _, place in found if place is not None}
    return first


def _wrong(path: Steps, value: str) -> list[str]:
    if value[0] == "{":
        # Negative: a number may stand for a schedule, and a learning rate may be absurd.
        return ["-12345", '"x"', "true", "[]", "1979-05-27"]
    if value[0] == "[":
        return ["12345", '"x"', "true", "{}"]
    if "${" in value:
        return ['"${values.absent_value}"', '"${values.absent', "[]"]
    if value[0] in "\"'":
        return ["12345", "true", "[]", "{}"]
    if value in ("true", "false"):
        return ['"x"', "7", "[]", "{}"]
    large = "1e31" if re.search(r"[.e]", value) else "1_000_000_000_000_000"
    large = "9_223_372_036_854_775_808" if "seeds" in path else large
    return ['"x"', "true", "[]", "{}", "1979-05-27", "nan", "-1_000_000_000_000_000", large]


def doubled(text: str) -> Iterator[Mutation]:
    """Every key given twice, every table declared twice."""
    for leaf in leaves(text):
        name = str(leaf.path[-1])
        begin = text.rindex("\n", 0, leaf.start) + 1 if leaf.is_statement and "\n" in text[: leaf.start] else leaf.start
        begin = 0 if leaf.is_statement and "\n" not in text[: leaf.start] else begin
        key = text[begin : leaf.start] + name if leaf.is_statement else name
        more = f"{key} = {leaf.value}{chr(10) if leaf.is_statement else ', '}"
        line = leaf.line + more.count("\n")
        yield Mutation(f"{name} doubled", begin, "", more, line, f"'{name}' set twice (lines {leaf.line}, {line})")
    end = len(text)
    for path, line, _ in headers(text):
        name = ".".join(map(str, path))
        last = text.count("\n") + 2
        said = f"[{name}] declared twice (lines {line}, {last})"
        yield Mutation(f"[{name}] doubled", end, "", f"\n[{name}]\n", last, said)


def deleted(text: str) -> Iterator[tuple[Steps, Mutation]]:
    """Every key left out, with its path; the line is that of the key, which is not where it must be told."""
    for leaf in leaves(text):
        begin, end = leaf.start, leaf.value_end
        if leaf.is_statement:
            begin = text.rfind("\n", 0, begin) + 1
        else:
            after = re.compile(r"\s*,\s*").match(text, end)
            before = re.search(r",\s*$", text[:begin])
            end = after.end() if after else end
            begin = before.start() if before and not after else begin
        old = text[begin:end]
        yield leaf.path, Mutation(f"{leaf.path[-1]} deleted", begin, old, "\n" * old.count("\n"), leaf.line)


def _is_header(text: str, start_of_line: int) -> bool:
    return (
        text[start_of_line : start_of_line + 1] == "["
        and re.match(r"\[\[?[A-Za-z0-9_.\"' -]+\]\]?\s*(?:#.*)?$", text[start_of_line:].split("\n", 1)[0]) is not None
    )
