"""What blueprints say as they are written: parts and kinds as calls, before they become hundreds of resolved keys.

Two blueprints are compared by what was written for each, without what resolves to the same value.
Tests: tests/blueprint/inspect/test_as_written.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from composer.blueprint.checks.form import validate
from composer.blueprint.inspect.call_text import NAMED_BY, call_text, callee
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import Difference, Scalar, differences, resolved
from composer.blueprint.syntax.compose import Written
from composer.blueprint.syntax.interpolation import interpolate
from composer.blueprint.syntax.layers import layered
from composer.blueprint.syntax.nodes import plain, read_path, show_path
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError

HEADER: Final = ("blueprint", "name", "description", "requires", "values")
"""Keys that say nothing of what is trained, or stand for other keys."""


class _Absent:
    """What no key has."""


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class Side:
    """A blueprint as it is written."""

    table: Mapping[str, Any]
    """Files, variants and overrides laid over each other, with references replaced and parts still named."""
    resolved: Mapping[str, Any] | None
    """The same with every default; None where it is no valid blueprint."""


@dataclass(frozen=True)
class Change:
    """A key that two blueprints have differently."""

    path: Path
    left: Any
    """A value of TOML types, or ``ABSENT``; so is ``right``."""
    right: Any
    defaults: tuple[Any, Any] = (ABSENT, ABSENT)
    """What holds on either side where the key is absent, if that is known."""

    @property
    def key(self) -> str:
        """``networks.actor.trunk``."""
        return show_path(self.path)

    def texts(self) -> tuple[str, str]:
        """Both values as text; ``1 (default)`` and ``-`` where the key is absent."""
        left, right = (
            _text(value, default) for value, default in zip((self.left, self.right), self.defaults, strict=True)
        )
        return left, right

    def __str__(self) -> str:
        return f"{self.key}: {' → '.join(self.texts())}"


def side(blueprint: Blueprint) -> Side:
    """A blueprint as it was written; one that was made in Python is all written."""
    written: Written | None = blueprint.derived.get("written")
    whole = resolved(blueprint)
    return Side(whole if written is None else written_table(written), whole)


def base_of(blueprint: Blueprint) -> tuple[str, Side] | None:
    """What a blueprint differs from, with its name: the file of its variants and overrides, else its parent.

    None for a file without a parent.
    """
    written: Written | None = blueprint.derived.get("written")
    if written is None:
        return None
    if written.changes or written.variant:
        base = replace(written, changes=(), variant=None)
    elif len(written.trees) > 1:
        base = replace(written, trees=written.trees[:-1])
    else:
        return None
    table = written_table(base)
    return str(table.get("name", "")), Side(table, _resolved(base))


def written_table(written: Written) -> dict[str, Any]:
    """The layers of a blueprint in one table, with references replaced and parts still named."""
    root, _, _ = interpolate(layered(written.trees, written.changes, written.variant).root)
    table: dict[str, Any] = plain(root)
    return table


def changes(left: Side, right: Side) -> list[Change]:
    """The keys that two blueprints have differently, in the order of the left one, then what the right one adds.

    Last, under ``interventions``, the order of those that both have. Where both write the same and it resolves
    otherwise, as parts of one name in two folders do, the resolved keys are compared.
    """
    found = [*_changes((), left.table, right.table, left, right), *_order(left, right)]
    if found or left.resolved is None or right.resolved is None:
        return found
    ours, theirs = ({key: of[key] for key in of if key not in HEADER} for of in (left.resolved, right.resolved))
    return [*map(of_leaf, differences(ours, theirs))]


def of_leaf(found: Difference) -> Change:
    """A resolved key that differs, as a change."""
    absent: dict[Scalar | None, Any] = {None: ABSENT, "[]": []}
    left, right = (absent.get(each, each) for each in (found.left, found.right))
    return Change(read_path(found.key) or (found.key,), left, right)


def _order(left: Side, right: Side) -> Iterator[Change]:
    ours, theirs = ([*of.table.get("interventions", {})] for of in (left, right))
    before, after = ([name for name in one if name in other] for one, other in ((ours, theirs), (theirs, ours)))
    if before != after:
        yield Change(("interventions",), before, after)


def _changes(path: Path, ours: Any, theirs: Any, left: Side, right: Side) -> Iterator[Change]:
    if (path[:1] and path[0] in HEADER) or _is_same(ours, theirs) or not _resolves_otherwise(path, left, right):
        return
    if _pairs(path, ours, theirs, left, right):
        ours, theirs = ({} if each is ABSENT else each for each in (ours, theirs))
        for key in {**ours, **theirs}:
            yield from _changes((*path, key), ours.get(key, ABSENT), theirs.get(key, ABSENT), left, right)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs) and _has_tables(ours):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _changes((*path, index), one, other, left, right)
    else:
        defaults = (_default(path, ours, left), _default(path, theirs, right))
        yield Change(path, ours, theirs, defaults)


def _pairs(path: Path, ours: Any, theirs: Any, left: Side, right: Side) -> bool:
    """Whether two tables are compared key by key: they name the same part or kind, or none."""
    tables = [each for each in (ours, theirs) if each is not ABSENT]
    if not all(isinstance(each, Mapping) for each in tables) or len({callee(each) for each in tables}) != 1:
        return False
    if len(tables) == 2:
        return _named_by(ours) == _named_by(theirs)
    # What a file leaves out has defaults by key, unless it is an entry that the blueprint lacks.
    absent = left if ours is ABSENT else right
    return callee(tables[0]) is None and (not path or isinstance(_at(absent.resolved, path), Mapping))


def _named_by(table: Mapping[str, Any]) -> str | None:
    return next((key for key in NAMED_BY if key in table), None)


def _has_tables(values: Sequence[Any]) -> bool:
    return any(isinstance(each, Mapping | list) for each in values)


def _is_same(ours: Any, theirs: Any) -> bool:
    # As texts, in which 1 is not 1.0, and true is not 1.
    return ours is theirs or (ours is not ABSENT and theirs is not ABSENT and call_text(ours) == call_text(theirs))


def _resolves_otherwise(path: Path, left: Side, right: Side) -> bool:
    """Whether the values differ at the deepest table or value on the way to ``path`` that both resolve to."""
    ours, theirs = left.resolved, right.resolved
    if ours is None or theirs is None:
        return True
    for step in path:
        one, other = _child(ours, step), _child(theirs, step)
        if one is ABSENT and other is ABSENT:
            break
        ours, theirs = one, other
    return not _is_same(ours, theirs)


def _default(path: Path, written: Any, of: Side) -> Any:
    """What holds at a path that a blueprint leaves out: a default of its kind, or of the part above it."""
    if written is not ABSENT or not path:
        return ABSENT
    table = _at(of.table, path[:-1])
    part = parts().get(str(table["use"])) if isinstance(table, Mapping) and "use" in table else None
    if part is not None:
        return plain(part.parameters[str(path[-1])]) if path[-1] in part.parameters else ABSENT
    return ABSENT if of.resolved is None else _at(of.resolved, path)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = _child(value, step)
    return value


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return ABSENT


def _text(value: Any, default: Any) -> str:
    if value is not ABSENT:
        return call_text(value)
    return "-" if default is ABSENT else f"{call_text(default)} (default)"


def _resolved(written: Written) -> Mapping[str, Any] | None:
    try:
        composed = written.composed()
    except BlueprintError:
        return None
    found, _ = validate(composed.root, composed.skipped, Blueprint)
    return None if found is None else resolved(found)
