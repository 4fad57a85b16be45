"""What the commands that only read blueprints answer: text for people, tables for ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.load import check
from composer.blueprint.nodes import plain
from composer.blueprint.parts import Part, parts
from composer.blueprint.report import Problem
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Difference, Scalar, diff
from composer.spec import suggestion

MAX_SHOWN = 20
"""Problems of one file that are printed; ``--json`` holds all."""


class UnknownPartError(LookupError):
    """There is no part of that name."""


def check_files(paths: Sequence[str | FilePath]) -> list[Problem]:
    """Every problem of every file, file by file."""
    return [problem for path in paths for problem in check(path)]


def check_text(problems: Sequence[Problem]) -> str:
    """A line a problem; no text at all where there is none."""
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more problems")
    return "\n".join(lines)


def check_json(problems: Sequence[Problem]) -> dict[str, Any]:
    """``{"ok": ..., "problems": [{"file", "line", "column", "path", "message", "hint"}]}``."""
    return {"ok": not problems, "problems": [problem.as_dict() for problem in problems]}


def diff_text(left: Blueprint, right: Blueprint) -> str:
    """A line a key: ``key: ours → theirs``; absent sides are ``-``."""
    return "\n".join(f"{found.key}: {_side(found.left)} → {_side(found.right)}" for found in diff(left, right))


def diff_json(left: Blueprint, right: Blueprint) -> dict[str, Any]:
    """Each differing key with both sides; null where a side does not have it."""
    return {"differences": [{"key": found.key, **_sides(found)} for found in diff(left, right)]}


def parts_text(name: str | None = None) -> str:
    """All parts, a line each; or one part, with its parameters. Raises UnknownPartError with a near name."""
    if name is None:
        return "\n".join(f"{part.name:24} {part.family:12} {part.description}" for part in parts().values())
    part = _part(name)
    lines = [f"{part.name} ({part.family}): {part.description}", f"source: {part.source}", f"file: {part.file}"]
    if part.parameters:
        lines.append("parameters:")
        lines += [f"  {key} = {_toml(plain(node))}" for key, node in part.parameters.items()]
    return "\n".join(lines)


def parts_json(name: str | None = None) -> dict[str, Any]:
    """All parts, or one, as tables. Raises UnknownPartError with a near name."""
    chosen = [_part(name)] if name is not None else list(parts().values())
    return {"parts": [_part_table(part) for part in chosen]}


def _part(name: str) -> Part:
    known = parts()
    if name not in known:
        raise UnknownPartError(f"no part named {name[:64]!r}{suggestion(name, known)}")
    return known[name]


def _part_table(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "family": part.family,
        "description": part.description,
        "source": part.source,
        "file": part.file,
        "parameters": {key: plain(node) for key, node in part.parameters.items()},
    }


def _side(value: Scalar | None) -> str:
    return "-" if value is None else _toml(value)


def _sides(found: Difference) -> dict[str, Any]:
    return {"left": found.left, "right": found.right}


def _toml(value: object) -> str:
    """A value as a blueprint writes it, on one line."""
    import tomli_w

    text = tomli_w.dumps({"value": value}) if not isinstance(value, dict) else tomli_w.dumps({"value": [value]})
    return " ".join(text.removeprefix("value =").split())
