"""Overrides of the command line, applied to a blueprint before its references are replaced.

``key.path=value`` sets a value; ``~key.path`` removes what the file and its variants have there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import tomli

from composer.blueprint.syntax.nodes import Node, Origin, annotate, merge, plain, read_path, show_path
from composer.blueprint.syntax.positions import MAX_NESTING, Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.removal import KEEPS, Removal, emptied, empty_table
from composer.blueprint.syntax.write import toml_value
from composer.spec.wording import describe, quote

COMMAND_LINE = "command line"
"""The file in the origin of an override; the line is the number of the override."""

TILDE = "~"
"""Begins a removal, as in Hydra."""
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./:@+-]*|\$\{[A-Za-z0-9_.\[\]-]+\}")
_NO_STRINGS = ("true", "false", "inf", "nan")
"""Bare words that TOML has as other values."""
_MAX_LENGTH = 20_000
_REFUSED = {
    "extends": "a parent cannot be chosen on the command line",
    "variants": "choose a variant with FILE@VARIANT; a variant itself cannot be overridden",
    "remove": "write ~KEY to remove a key",
}


@dataclass(frozen=True)
class Override:
    """A path and its new value."""

    path: Path
    node: Node


def read_overrides(texts: Sequence[str]) -> list[Override | Removal]:
    """Parse overrides; raises BlueprintError with a problem for each malformed one.

    Removals refer to the file and its variants, so that none may follow an override of the same key.
    """
    read: list[Override | Removal] = []
    problems: list[Problem] = []
    for number, text in enumerate(texts, 1):
        try:
            if text.startswith(TILDE):
                read.append(_removal(text, number, read))
            else:
                read.append(_read(text, number))
        except BlueprintError as error:
            problems.extend(error.problems)
    if problems:
        raise BlueprintError(problems)
    return read


def override_text(change: Override | Removal) -> str:
    """A change as the command line has it: ``environment.task=walker-run``, ``~interventions.reset``."""
    if isinstance(change, Removal):
        return f"{TILDE}{show_path(change.path)}"
    value = plain(change.node)
    is_bare = isinstance(value, str) and _BARE_WORD.fullmatch(value) and value not in _NO_STRINGS
    return f"{show_path(change.path)}={value if is_bare else toml_value(value)}"


def apply_override(root: Node, override: Override) -> Node:
    """``root`` with the override's value at its path; new keys open tables, lists never grow."""
    return _put(root, override.path, override)


def _removal(text: str, number: int, before: Sequence[Override | Removal]) -> Removal:
    path = read_path(text.removeprefix(TILDE).strip())
    if path is None or len(path) > MAX_NESTING or len(text) > _MAX_LENGTH:
        message = f"expected ~KEY such as ~interventions.reset, got {quote(text)}"
        raise BlueprintError([Problem(COMMAND_LINE, number, 1, "", message)])
    origin = Origin(COMMAND_LINE, number, 1, (f"override {quote(text)}",))
    if path[0] in KEEPS:
        raise BlueprintError([problem(origin, show_path(path), f"{path[0]!r} is no value that can be removed")])
    for each in before:
        shared = min(len(each.path), len(path))
        if isinstance(each, Removal) and each.path == path:
            raise BlueprintError([problem(origin, show_path(path), "is removed twice")])
        if isinstance(each, Override) and each.path[:shared] == path[:shared]:
            message = f"removes what an override before it sets, {show_path(each.path)}"
            raise BlueprintError([problem(origin, show_path(path), message, "write removals first")])
    return Removal(path, origin)


def _read(text: str, number: int) -> Override:
    name, equals, value = text.partition("=")
    path = read_path(name.strip())
    if not equals or path is None or len(path) > MAX_NESTING or len(text) > _MAX_LENGTH:
        message = f"expected KEY=VALUE such as training.env_steps=1000, got {quote(text)}"
        bare = text.lstrip("+")
        hint = f"write {bare}: a new key needs no +" if bare != text and read_path(bare.partition("=")[0]) else ""
        raise BlueprintError([Problem(COMMAND_LINE, number, 1, "", message, hint)])
    column = len(name) + 2
    origin = Origin(COMMAND_LINE, number, 1, (f"override {quote(text)}",))
    if path[0] in _REFUSED:
        raise BlueprintError([problem(origin, show_path(path), _REFUSED[str(path[0])])])
    node = annotate(_value(value.strip(), show_path(path), origin), {}, COMMAND_LINE)
    return Override(path, _placed(node, origin, replace(origin, column=column)))


def _value(text: str, path: str, origin: Origin) -> object:
    try:
        parsed = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    if set(parsed) == {"value"}:
        return parsed["value"]
    if _BARE_WORD.fullmatch(text):
        return text
    raise BlueprintError([problem(origin, path, f"{quote(text)} is no TOML value; put a string in quotes")])


def _placed(node: Node, key: Origin, at: Origin) -> Node:
    children = {step: _placed(child, at, at) for step, child in node.children()}
    return replace(node.rebuilt(children), key=key, at=at)


def _put(node: Node, rest: Path, override: Override) -> Node:
    step, below = rest[0], rest[1:]
    at = override.path[: len(override.path) - len(rest)]
    children = dict(node.children())
    fits = node.is_table if isinstance(step, str) else isinstance(node.value, list)
    if not fits:
        kind = "table" if isinstance(step, str) else "list"
        message = f"{show_path(at)} is no {kind} but {describe(node.value if not node.is_table else {})}"
        # Other commands show a list that stands for a table as one key deeper.
        shorter = below and isinstance(node.value, list) and isinstance(below[0], int)
        hint = f"did you mean '{show_path((*at, *below))}'?" if shorter else ""
        raise BlueprintError([problem(override.node.key, show_path(override.path), message, hint)])
    if isinstance(step, int) and step not in children:
        message = f"{show_path(at)} has {len(children)} entries; there is no [{step}]"
        raise BlueprintError([problem(override.node.key, show_path(override.path), message)])
    old = children.get(step)
    if below:
        old = old or Node({}, override.node.key, override.node.key)
        children[step] = _put(old, below, override)
    else:
        for path, filled, empty in emptied(old, override.node, override.path) if old else ():
            raise BlueprintError([empty_table(path, filled, empty, f"{TILDE}{show_path(path)}")])
        children[step] = merge(old, override.node) if old else override.node
    return node.rebuilt(children)
