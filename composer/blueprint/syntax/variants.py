"""Variants: small diffs of a file, by name. ``small+clipped`` lays two over it, in this order.

A variant may name others, ``with = ["small"]``: they come first, and its own keys hold over theirs. Of two variants
that do not name each other, neither may undo what the other sets. Tests: tests/blueprint/test_variants.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from composer.blueprint.schema import SLUG_RULE, is_slug
from composer.blueprint.syntax.nodes import Node, Origin, plain, replaces, show_path, walk, with_note
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.removal import Removal, take_removals
from composer.spec.wording import describe, quote, spelled, suggestion

AND = "+"
"""Stands between the names of a combination."""
BASE = "base"
"""The name of the blueprint itself where combinations are listed."""
WITH = "with"
"""The key by which a variant names others."""
MAX_VARIANTS = 64
"""Most variants of one file."""


@dataclass(frozen=True)
class Variant:
    """A variant of a file."""

    name: str
    tree: Node
    """What it sets."""
    removals: tuple[Removal, ...] = ()
    parents: tuple[str, ...] = ()
    """The variants that it names in ``with``."""


def read_variants(whole: Node) -> dict[str, Variant]:
    """The variants of a file by name; raises BlueprintError for tables, names and ``with`` that are wrong."""
    node = whole.value.get("variants")
    if node is None:
        return {}
    if not node.is_table:
        raise BlueprintError([problem(node.at, "variants", f"expected table, got {describe(node.value)}")])
    if len(node.value) > MAX_VARIANTS:
        message = f"{len(node.value):,} variants; limit {MAX_VARIANTS}"
        raise BlueprintError([problem(node.at, "variants", message)])
    problems: list[Problem] = []
    found = {name: _variant(name, child, node.value, problems) for name, child in node.value.items()}
    if not problems:
        problems += _cycles(found, node.value)
    if problems:
        raise BlueprintError(problems)
    return found


def _variant(name: str, node: Node, known: Mapping[str, Node], problems: list[Problem]) -> Variant:
    path = show_path(("variants", name))
    if not node.is_table:
        problems.append(problem(node.at, path, f"expected table, got {describe(node.value)}"))
        return Variant(name, node)
    if not is_slug(name):
        problems.append(problem(node.key, path, f"a variant's name: {SLUG_RULE}"))
    if name == BASE:
        problems.append(problem(node.key, path, f"{BASE!r} is the blueprint without a variant; use another name"))
    for key in ("extends", "variants"):
        if key in node.value:
            problems.append(problem(node.value[key].key, f"{path}.{key}", f"a variant has no {key!r}"))
    parents = _parents(node.value.get(WITH), f"{path}.{WITH}", known, problems)
    rest = replace(node, value={key: child for key, child in node.value.items() if key != WITH})
    tree, removals, malformed = take_removals(with_note(rest, f"variant {name}"))
    problems += malformed
    return Variant(name, tree, tuple(removals), parents)


def _parents(node: Node | None, path: str, known: Mapping[str, Node], problems: list[Problem]) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node.value, list):
        problems.append(problem(node.at, path, f"expected list of variants, got {describe(node.value)}"))
        return ()
    for index, entry in enumerate(node.value):
        if not isinstance(entry.value, str) or entry.value not in known:
            hint = suggestion(str(entry.value), known).removeprefix("; ")
            problems.append(problem(entry.at, f"{path}[{index}]", f"no variant named {spelled(entry.value)}", hint))
    return tuple(dict.fromkeys(str(entry.value) for entry in node.value))


def _cycles(found: Mapping[str, Variant], nodes: Mapping[str, Node]) -> Iterator[Problem]:
    """A problem for the first circle of variants that name each other."""

    def circle(name: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        if name in trail:
            return (*trail[trail.index(name) :], name)
        if name in sound:
            return ()
        for parent in found[name].parents:
            if loop := circle(parent, (*trail, name)):
                return loop
        sound.add(name)
        return ()

    sound: set[str] = set()
    for name in found:
        if loop := circle(name, ()):
            message = f"variants name each other: {' → '.join(loop)}"
            yield problem(nodes[loop[0]].value[WITH].at, f"variants.{loop[0]}.{WITH}", message)
            return


def combined(variants: Mapping[str, Variant], combination: str, file: Origin) -> list[Variant]:
    """The variants that a combination lays over the file, in order: each after those that it names.

    Raises BlueprintError for all unknown names, for a name given twice, and for conflicts.
    """
    names = combination.split(AND)
    if "" in names:
        message = "the name of a variant is missing" + (f" in {quote(combination)}" if combination else "")
        raise BlueprintError([problem(file, "", message, f"write FILE@NAME or FILE@NAME{AND}NAME")])
    unknown = [name for name in dict.fromkeys(names) if name not in variants]
    if unknown:
        raise BlueprintError(unknown_variant(name, variants, file) for name in unknown)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise BlueprintError(problem(file, "", f"variant {spelled(name)} is named twice") for name in twice)
    ordered: dict[str, Variant] = {}
    for name in names:
        _collect(variants, name, ordered)
    problems = [*_conflicts(list(ordered.values()), variants)]
    if problems:
        raise BlueprintError(problems)
    return [*ordered.values()]


def unknown_variant(name: str, known: Mapping[str, object], file: Origin) -> Problem:
    """The problem of a name that no variant has."""
    none = "it declares none, and those of a parent are not inherited"
    hint = suggestion(name, known).removeprefix("; ") if known else none
    return problem(file, "", f"no variant named {spelled(name)}", hint)


def _collect(variants: Mapping[str, Variant], name: str, into: dict[str, Variant]) -> None:
    if name not in into:
        for parent in variants[name].parents:
            _collect(variants, parent, into)
        into[name] = variants[name]


def named_by(variants: Mapping[str, Variant], name: str) -> set[str]:
    """The variants that a variant names in ``with``, and those that these name."""
    found: dict[str, Variant] = {}
    _collect(variants, name, found)
    return set(found) - {name}


def is_agreed(path: Path, before: Sequence[Variant], names: Collection[str]) -> bool:
    """Whether a variant of the combination has removed ``path`` already.

    Numbers of entries of a list mean the list as the variants in ``names`` left it.
    """
    return any(
        path[: len(each.path)] == each.path and (one.name not in names or isinstance(each.path[-1], str))
        for one in before
        for each in one.removals
    )


def _conflicts(ordered: Sequence[Variant], variants: Mapping[str, Variant]) -> Iterator[Problem]:
    """A problem for each key that two variants would have differently, unless one that names them settles it."""
    over = {each.name: named_by(variants, each.name) for each in ordered}

    def is_settled(path: Path, *names: str) -> bool:
        """Whether a variant that names one of the two, perhaps the other one, sets or removes the key itself."""
        return any(over[each.name] & {*names} and _touches(each, path) for each in ordered)

    for first, second in combinations(ordered, 2):
        for path, ours, theirs in _differing(first, second):
            if not is_settled(path, first.name, second.name):
                message = f"{_says(second.name, theirs)}, but {_says(first.name, ours)} at {_place(ours)}"
                names = f"[{quote(first.name)}, {quote(second.name)}]"
                hint = f"a variant that names both, with = {names}, may set the key itself"
                yield Problem(*_located(theirs), show_path(path), message, hint)


Saying = Node | Removal
"""What a variant says of a key: a value, or that it is removed."""


def _differing(first: Variant, second: Variant) -> Iterator[tuple[Path, Saying, Saying]]:
    """The keys on which two variants disagree, with what each says."""
    yield from _overwritten(first.tree, second.tree, ())
    for one, other, is_swapped in ((first, second, False), (second, first, True)):
        for removal in one.removals:
            said = _said(other.tree, removal.path)
            if said is not None:
                yield (removal.path, said, removal) if is_swapped else (removal.path, removal, said)
    for ours in first.removals:
        for theirs in second.removals:
            if _shifts(ours.path, theirs.path):
                yield theirs.path, ours, theirs


def _overwritten(first: Node, second: Node, path: Path) -> Iterator[tuple[Path, Node, Node]]:
    """What ``first`` sets and ``second``, laid over it, changes."""
    if not (first.is_table and second.is_table):
        if plain(first) != plain(second):
            yield path, first, second
    elif replaces(second):
        lost = [at for at, node in walk(first) if not node.is_table and not _agrees(second.get(at), node)]
        if lost:
            yield (*path, *lost[0]), first.get(lost[0]) or first, second.get(lost[0]) or second
    else:
        for name, child in second.value.items():
            if name in first.value:
                yield from _overwritten(first.value[name], child, (*path, name))


def _agrees(one: Node | None, other: Node) -> bool:
    return one is not None and plain(one) == plain(other)


def _said(tree: Node, path: Path) -> Node | None:
    """What a variant's tree sets at or below ``path``, or in place of a table around it."""
    node = tree
    for step in path:
        child = node.child(step)
        if child is None:
            return node if node is not tree and (replaces(node) or not node.is_table) else None
        node = child
    return node


def _touches(variant: Variant, path: Path) -> bool:
    removed = any(path[: len(each.path)] == each.path for each in variant.removals)
    return removed or _said(variant.tree, path) is not None


def _shifts(ours: Path, theirs: Path) -> bool:
    """Whether two paths remove different entries of one list, whose numbers would then depend on the order."""
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return isinstance(one, int) and isinstance(other, int)
    return False


def _says(name: str, said: Saying) -> str:
    if isinstance(said, Removal):
        return f"variant {name} removes {said.key}"
    return f"variant {name} sets {describe(said.value)}"


def _place(said: Saying) -> str:
    return f"{said.at.file}:{said.at.line}:{said.at.column}"


def _located(said: Saying) -> tuple[str, int, int]:
    return said.at.file, said.at.line, said.at.column
