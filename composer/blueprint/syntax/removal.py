"""``remove``: take keys and entries of lists out of what is inherited, before a file's own values are laid over it.

``remove = ["interventions.reset", "networks.critic.trunk[1]"]`` stands at the top of a file or of a variant; on the
command line it is ``~interventions.reset``. All paths of one layer name keys as they are before that layer. An empty
table over a filled one would remove nothing, and is an error. Tests: tests/blueprint/test_removal.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from composer.blueprint.syntax.interpolation import reference
from composer.blueprint.syntax.nodes import Node, Origin, read_path, replaces, show_path
from composer.blueprint.syntax.positions import MAX_NESTING, Path
from composer.blueprint.syntax.problems import Problem, problem
from composer.spec.wording import describe, listing, near, quote

REMOVE = "remove"
"""The key of a file or of a variant."""
KEEPS = ("extends", "remove", "variants", "with")
"""Keys that are no values, so that nobody can remove them."""
REFUSED = "cannot be removed"
"""Begins the message of a removal that finds nothing."""
MAX_HINTS = 20
"""Most absent keys for which a near name is looked up."""


@dataclass(frozen=True)
class Removal:
    """A path that a layer removes."""

    path: Path
    at: Origin
    """Where the layer says so."""
    removed: Node | None = None
    """What was there; None before the removal was made."""

    @property
    def key(self) -> str:
        """The path as text."""
        return show_path(self.path)

    def covers(self, path: Path) -> bool:
        """Whether a key of the resolved blueprint is in what is removed."""
        return _followed(self.path, path) is not None

    def moves(self, path: Path) -> bool:
        """Whether a key of the resolved blueprint is in an entry of a list that moved up by this removal."""
        *around, last = self.path
        at = _followed(tuple(around), path)
        if at is None or not isinstance(last, int):
            return False
        entry = next((step for step in path[at : at + 2] if isinstance(step, int)), -1)
        return entry >= last


def _followed(prefix: Path, path: Path) -> int | None:
    """How many steps of a path of the resolved blueprint ``prefix`` takes; None where it leads elsewhere.

    There a list that stands for a table is one key deeper: ``trunk[0]`` is ``trunk.layers[0]``.
    """
    at = 0
    for step in prefix:
        if isinstance(step, int) and at < len(path) and isinstance(path[at], str):
            at += 1
        if at >= len(path) or path[at] != step:
            return None
        at += 1
    return at


def take_removals(tree: Node) -> tuple[Node, list[Removal], list[Problem]]:
    """A layer without its key ``remove``, the removals that it declares, and problems of how they are written."""
    node = tree.value.get(REMOVE)
    if node is None:
        return tree, [], []
    rest = replace(tree, value={name: child for name, child in tree.value.items() if name != REMOVE})
    if not isinstance(node.value, list):
        found = problem(node.at, REMOVE, f"expected list of keys, got {describe(node.value)}")
        return rest, [], [found]
    removals: dict[Path, Removal] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(node.value):
        where = show_path((REMOVE, index))
        path = read_path(entry.value) if isinstance(entry.value, str) else None
        if path is None or len(path) > MAX_NESTING:
            shown = quote(entry.value) if isinstance(entry.value, str) else describe(entry.value)
            message = f"expected a key such as interventions.reset or networks.critic.trunk[1], got {shown}"
            problems.append(problem(entry.at, where, message))
        elif path[0] in KEEPS:
            problems.append(problem(entry.at, where, f"{path[0]!r} is no value that can be removed"))
        elif path in removals:
            problems.append(problem(entry.at, where, f"{show_path(path)} is listed twice"))
        else:
            removals[path] = Removal(path, entry.at)
    return rest, [*removals.values()], problems


def remove(
    root: Node, removals: Sequence[Removal], before: Sequence[Removal] = ()
) -> tuple[Node, list[Removal], list[Problem]]:
    """``root`` without the paths of one layer, the removals made, and a problem for each path that is not there.

    ``before`` are the removals of earlier layers, which a message may name.
    """
    made: list[Removal] = []
    problems: list[Problem] = []
    for each in removals:
        found = root.get(each.path)
        if found is not None:
            made.append(replace(each, removed=found))
        else:
            message, hint = _absent(root, each.path, before, len(problems) < MAX_HINTS)
            problems.append(problem(each.at, each.key, message, hint))
    return (_without(root, (), {each.path for each in made}) if made else root), made, problems


def _without(node: Node, path: Path, paths: Collection[Path]) -> Node:
    return node.rebuilt(
        {step: _without(child, (*path, step), paths) for step, child in node.children() if (*path, step) not in paths}
    )


def _absent(root: Node, path: Path, before: Sequence[Removal], with_hint: bool) -> tuple[str, str]:
    """Message and hint for a path that is not there: what is there instead."""
    for each in before:
        if path[: len(each.path)] == each.path and isinstance(path[-1], str):
            return f"{REFUSED}: removed already at {each.at}", ""
    around: Path = ()
    table = root
    while (child := table.child(path[len(around)])) is not None:
        table, around = child, path[: len(around) + 1]
    step, name = path[len(around)], show_path(around) or "the blueprint"
    absent = f"{REFUSED}: nothing inherited sets it"
    target = reference(table)
    if target is not None:
        return f"{absent}; {name} is ${{{show_path(target)}}}", ""
    if isinstance(step, int) and isinstance(table.value, list):
        return f"{REFUSED}: {name} has {len(table.value)} entries; there is no [{step}]", ""
    if isinstance(step, int) or not table.is_table:
        kind = "list" if isinstance(step, int) else "table"
        shorter = (*around, *path[len(around) + 1 :])
        hint = f"did you mean '{show_path(shorter)}'?" if root.get(shorter) not in (None, table) else ""
        return f"{REFUSED}: {name} is no {kind} but {describe({} if table.is_table else table.value)}", hint
    if "use" in table.value:
        part = describe(table.value["use"].value).removeprefix("string ")
        return absent, f"{name} uses the part {part}: its arguments here are {listing({*table.value} - {'use'})}"
    names = [str(key) for key in table.value if around or key not in KEEPS]
    meant = near(step, names) if with_hint else None
    if meant:
        return absent, f"did you mean '{show_path((*around, meant))}'?"
    return absent, f"{name} has {listing(names)}" if with_hint and names else ""


def emptied(below: Node, above: Node, path: Path = ()) -> Iterator[tuple[Path, Node, Node]]:
    """Empty tables in ``above`` that lie over filled ones: their path, the filled table and the empty one."""
    if not (below.is_table and above.is_table) or replaces(above):
        return
    if path and below.value and not above.value:
        yield path, below, above
    for name, child in above.value.items():
        if name in below.value:
            yield from emptied(below.value[name], child, (*path, name))


def over_references(below: Node, above: Node, path: Path = ()) -> Iterator[Problem]:
    """Problems of tables that would merge with a table, and lie over a reference, all of whose keys they would drop."""
    if not above.is_table or replaces(above):
        return
    target = reference(below)
    if target is not None:
        name, place = show_path(target), f"{below.at.file}:{below.at.line}"
        message = f"a table cannot be merged with the reference ${{{name}}} at {place}"
        hint = f"set keys of {name}, or first remove the reference: remove = [{quote(show_path(path))}]"
        yield problem(above.at, show_path(path), message, hint)
    for name, child in above.value.items():
        inner = below.child(name)
        if inner is not None:
            yield from over_references(inner, child, (*path, name))


def empty_table(path: Path, below: Node, above: Node, how: str) -> Problem:
    """The problem of an empty table over a filled one; ``how`` is how its layer writes a removal."""
    stays = listing(below.value)
    first = next(iter(below.value.values())).key
    message = f"an empty table removes nothing: {stays} would stay, inherited from {first.file}:{first.line}"
    return problem(above.at, show_path(path), message, f"to remove what is inherited, write {how}")
