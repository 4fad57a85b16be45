"""The tree of a blueprint: values with their origins. It is merged and expanded, then validated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from composer.blueprint.syntax.positions import Location, Path
from composer.spec.wording import shorten

_BARE = re.compile(r"[A-Za-z0-9_-]+")
MAX_SHOWN = 64
"""Longest key that messages show whole: every name of the language is shorter."""


@dataclass(frozen=True)
class Origin:
    """Where a value was written. ``notes`` name the variant, override or part through which it came."""

    file: str
    line: int
    column: int
    notes: tuple[str, ...] = ()

    def noted(self, note: str) -> Origin:
        """The same place with one more note."""
        # dataclasses.replace takes twice as long, of a hundred thousand origins in a large blueprint's check.
        return Origin(self.file, self.line, self.column, (*self.notes, note))

    def __str__(self) -> str:
        notes = "".join(f" ({note})" for note in self.notes)
        return f"{self.file}:{self.line}:{self.column}{notes}"


@dataclass(frozen=True)
class Node:
    """A value with its origin and that of its key. ``value`` is a scalar, a dict of nodes or a list of nodes."""

    value: Any = field(repr=False)
    key: Origin
    at: Origin

    @property
    def is_table(self) -> bool:
        """Whether the value is a table."""
        return isinstance(self.value, dict)

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """The entries of a table with their keys or of a list with their indices; a scalar has none."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def get(self, path: Path) -> Node | None:
        """The node at ``path`` below this one, or None."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node else None
        return node

    def child(self, step: str | int) -> Node | None:
        """The entry of a table at a key or of a list at an index, or None."""
        found: Node | None = None
        if isinstance(self.value, dict):
            found = self.value.get(step)
        elif isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            found = self.value[step]
        return found

    def rebuilt(self, children: Mapping[str | int, Node]) -> Node:
        """This table or list with other entries; a scalar stays as it is."""
        if not isinstance(self.value, dict | list):
            return self
        return Node(dict(children) if self.is_table else list(children.values()), self.key, self.at)


def annotate(value: object, locations: Mapping[Path, Location], file: str, notes: tuple[str, ...] = ()) -> Node:
    """The tree of a parsed TOML text, with the ``locations`` that ``positions.scan`` found in the same text."""

    def node(value: object, path: Path, outer: Location) -> Node:
        place = locations.get(path, outer)
        key, at = Origin(file, *place.key, notes), Origin(file, *place.value, notes)
        if isinstance(value, dict):
            return Node({name: node(item, (*path, name), place) for name, item in value.items()}, key, at)
        if isinstance(value, list):
            return Node([node(item, (*path, index), place) for index, item in enumerate(value)], key, at)
        return Node(value, key, at)

    return node(value, (), Location((1, 1), (1, 1)))


def with_note(node: Node, note: str) -> Node:
    """The same tree with ``note`` added to every origin."""
    inner = node.rebuilt({step: with_note(child, note) for step, child in node.children()})
    return Node(inner.value, node.key.noted(note), node.at.noted(note))


def plain(node: Node) -> Any:
    """The values without origins, as ``tomli`` returned them."""
    if isinstance(node.value, dict):
        return {name: plain(child) for name, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def merge(below: Node, above: Node) -> Node:
    """``above`` merged over ``below``: tables merge key by key, every other value replaces the one below.

    A table with a ``kind`` or a ``use`` replaces the table below it as a whole.
    """
    if not (below.is_table and above.is_table) or replaces(above):
        return above
    merged = dict(below.value)
    for name, child in above.value.items():
        merged[name] = merge(merged[name], child) if name in merged else child
    return replace(above, value=merged)


def replaces(table: Node) -> bool:
    """Whether a table replaces the one below it, since it names its ``kind`` or the part that it uses."""
    return table.is_table and ("kind" in table.value or "use" in table.value)


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, parents first."""
    yield path, node
    for step, child in node.children():
        yield from walk(child, (*path, step))


def show_path(path: Path) -> str:
    """A path as text: ``networks.critic.trunk.layers[1].width``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = step if _BARE.fullmatch(step) and len(step) <= MAX_SHOWN else quote_key(step)
        text += f".{name}" if text else name
    return text


def quote_key(name: str) -> str:
    """A key in quotes, on one line, cut to ``MAX_SHOWN``; non-ASCII letters, which may pass for others, are escaped."""
    return '"' + ascii(shorten(name, MAX_SHOWN))[1:-1].replace('"', '\\"') + '"'


_STEP = re.compile(r"""\.?(?:([A-Za-z0-9_-]+)|"([^"\\]*)"|'([^']*)')|\[([0-9]{1,9})\]""")


def read_path(text: str) -> Path | None:
    """Parse a path such as ``a.b[0].c``; None where ``text`` is not one."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match.group()[0] == ".") != (at > 0 and match.group(4) is None):
            return None
        at = match.end()
        name = next((group for group in match.groups()[:3] if group is not None), None)
        steps.append(int(match.group(4)) if name is None else name)
    return tuple(steps) if steps and isinstance(steps[0], str) else None
