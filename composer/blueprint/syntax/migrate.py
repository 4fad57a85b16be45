"""Carries blueprints of old formats forward, comments and layout and all.

``STEPS[n - 1]`` turns the text of a file of format n into one of format n + 1; it is given lines that end in newlines,
and the number of the format is not its business. Tests: tests/blueprint/test_migrate.py.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.syntax.nodes import Node
from composer.blueprint.syntax.positions import Path, scan
from composer.blueprint.syntax.problems import BlueprintError, Problem, at_file, problem
from composer.blueprint.syntax.read import parse_tree, read_bytes
from composer.spec.wording import describe

Step = Callable[[str], str]
STEPS: tuple[Step, ...] = ()
"""One for every format but the newest."""

KEY: Path = ("blueprint",)
_BOM = "\ufeff"


@dataclass(frozen=True)
class Migration:
    """A file, and what it becomes."""

    path: FilePath
    before: str
    after: str
    old: int
    new: int

    def diff(self) -> str:
        """What changes, as a unified diff; empty where nothing does."""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, str(self.path), str(self.path)))

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"file": str(self.path), "format": self.old, "new_format": self.new, "diff": self.diff()}


def migrate(path: FilePath, steps: Sequence[Step] = STEPS) -> Migration:
    """The file at ``path`` in the newest format; BlueprintError where it is no TOML, or its format none of ours."""
    data = read_bytes(path, str(path))
    old, newest = _format(parse_tree(data, str(path)), path, len(steps) + 1), len(steps) + 1
    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    after = text
    for number in range(old, newest):
        after = substituted(steps[number - 1](after), [(KEY, str(number), str(number + 1))])
    parse_tree(after.encode(), str(path))
    ends, mark = b"\r\n" in data, data.startswith(_BOM.encode())
    before, after = (_as_it_was(whole, ends, mark) for whole in (text, after))
    return Migration(path, before, after, old, newest)


def migrate_files(paths: Iterable[FilePath]) -> list[Migration]:
    """Every file in the newest format; BlueprintError with the problems of all that cannot be."""
    made: list[Migration] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            made.append(migrate(path))
        except BlueprintError as error:
            problems += error.problems
    if problems:
        raise BlueprintError(problems)
    return made


def substituted(text: str, changes: Iterable[tuple[Path, str, str]], *, keys: bool = False) -> str:
    """``text`` with values of paths (or their ``keys``) replaced: what stands there, and what is to stand there.

    Everything else stays as it is. Raises ValueError where something else stands there.
    """
    places = scan(text).places
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    edits = []
    for path, old, new in changes:
        line, column = places[path].key if keys else places[path].value
        edits.append((starts[line - 1] + column - 1, old, new))
    for offset, old, new in sorted(edits, reverse=True):
        if not text.startswith(old, offset):
            raise ValueError(f"{old!r} does not stand at offset {offset}")
        text = text[:offset] + new + text[offset + len(old) :]
    return text


def write(migrations: Iterable[Migration]) -> None:
    """Replace each changed file in one step, so that no reader ever finds half of it; OSError where that fails."""
    for migration in migrations:
        if migration.after == migration.before:
            continue
        # Through links, to the file itself.
        target = FilePath(os.path.realpath(migration.path))
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".composer-") as folder:
            new = FilePath(folder) / target.name
            with new.open("wb") as stream:
                stream.write(migration.after.encode())
                stream.flush()
                os.fsync(stream.fileno())
            shutil.copymode(target, new)
            os.replace(new, target)


def _format(tree: Node, path: FilePath, newest: int) -> int:
    node = tree.value.get("blueprint")
    if node is None:
        raise at_file(str(path), f"says no format; a blueprint of this composer begins with blueprint = {newest}")
    if type(node.value) is not int or node.value < 1:
        message = f"a format is a whole number from 1, got {describe(node.value)}"
        raise BlueprintError([problem(node.at, "blueprint", message)])
    if node.value > newest:
        message = f"format {node.value:,} needs a newer composer; this one reads formats up to {newest}"
        raise BlueprintError([problem(node.at, "blueprint", message)])
    return int(node.value)


def _as_it_was(text: str, has_returns: bool, has_mark: bool) -> str:
    """The text with the line ends and the byte-order mark of its file."""
    return (_BOM if has_mark else "") + (text.replace("\n", "\r\n") if has_returns else text)
