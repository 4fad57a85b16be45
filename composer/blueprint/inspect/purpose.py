"""What a blueprint or a study says of itself: its purpose, and where its settings come from.

The purpose is the key ``description``, or the first sentence of the comment at the top of the file. The source is the
sentence of that comment that begins with ``Source``, of the file itself or of the nearest parent that has one.
Tests: tests/blueprint/inspect/test_purpose.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import tomli

from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.extends import shipped
from composer.blueprint.syntax.read import read_text

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z\[])")
_SOURCE = re.compile(r"Source(?: of [^:]*|, unless [^:]*)?: (.*)", re.DOTALL)
MAX_PARENTS = 16


class Purpose(NamedTuple):
    """What a file says of itself; texts that it lacks are empty."""

    purpose: str = ""
    """One sentence."""
    source: str = ""
    """Paper, code, or who chose the settings."""


UNKNOWN = Purpose()
"""That of a file that cannot be read."""


def purpose(blueprint: Blueprint) -> Purpose:
    """The purpose and the source of a loaded blueprint; where it came from no file, that of its description alone."""
    file = blueprint.derived.get("file")
    found = purpose_of(file) if file is not None else Purpose()
    return found._replace(purpose=found.purpose or _first(blueprint.description))


def purpose_of(file: Path) -> Purpose:
    """The purpose and the source that a TOML file states, its source perhaps by its parents.

    A description is not inherited: that of a parent would describe another agent. Raises BlueprintError where the file
    cannot be read; a file that is not TOML has the purpose of its comment.
    """
    text = read_text(file, str(file))
    comment, table = leading_comment(text), _table(text)
    described = table.get("description")
    source = _source(comment)
    parent = table.get("extends")
    if not source and isinstance(parent, str):
        source = _source_of_parent(file, parent, MAX_PARENTS)
    return Purpose(_first(described if isinstance(described, str) and described else comment), source)


def leading_comment(text: str) -> str:
    """The comment at the top of a TOML text, up to its first empty line, on one line and without its signs."""
    lines = []
    for line in text.split("\n"):
        if not line.startswith("#") or not line.strip("# "):
            break
        lines.append(line.lstrip("#").strip())
    return " ".join(lines)


def _source(comment: str) -> str:
    for sentence in _SENTENCE.split(comment):
        if found := _SOURCE.fullmatch(sentence):
            return found.group(1).removeprefix("[C] ").rstrip(".")
    return ""


def _source_of_parent(child: Path, parent: str, limit: int) -> str:
    """The source of the nearest parent with one; empty where there is none, or no such file."""
    file = child.parent / parent if parent.endswith(".toml") else shipped().get(parent)
    if file is None or not file.is_file() or not limit:
        return ""
    text = read_text(file, str(file))
    source, above = _source(leading_comment(text)), _table(text).get("extends")
    if source or not isinstance(above, str):
        return source
    return _source_of_parent(file, above, limit - 1)


def _first(text: str) -> str:
    sentences = _SENTENCE.split(" ".join(text.split()))
    return next((each for each in sentences if not _SOURCE.fullmatch(each)), "")


def _table(text: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError):
        return {}
