"""The layers of a blueprint, and those of them that set one value.

A layer is a parent, the file, a variant or an override. The blueprint is composed anew with one layer more at a time;
where the value, or the place where it is written, is another one than before, that layer has set it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.syntax.compose import compose, layered
from composer.blueprint.syntax.interpolation import interpolate
from composer.blueprint.syntax.nodes import Node, Origin, plain
from composer.blueprint.syntax.overrides import Override
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError
from composer.networks.blocks.base import Block


@dataclass(frozen=True)
class Stage:
    """A blueprint as it stands after one of its layers."""

    layer: str
    """``parent``, ``file``, ``variant NAME`` or ``override``."""
    written: Node
    """As it is written, references resolved: parts are still called by name."""
    expanded: Node
    """What is validated: parts are in their places."""


@dataclass(frozen=True)
class Setting:
    """A layer that set a value."""

    layer: str
    value: object
    origin: Origin | None
    """Where; None for a default, which stands in no file."""
    notes: tuple[str, ...] = ()
    """How it came from there: through references, from or into the body of a part."""


def stages(trees: Sequence[Node], overrides: Sequence[Override], variant: str | None) -> Iterator[Stage]:
    """The blueprint with one layer more each time, the oldest parent first, without those that are no whole tree."""
    for count in range(1, len(trees) + 1):
        yield from _stage("file" if count == len(trees) else "parent", trees[:count], (), None)
    if variant is not None:
        yield from _stage(f"variant {variant}", trees, (), variant)
    for count in range(1, len(overrides) + 1):
        yield from _stage("override", trees, overrides[:count], variant)


def _stage(layer: str, trees: Sequence[Node], overrides: Sequence[Override], variant: str | None) -> Iterator[Stage]:
    try:
        written, _, _ = interpolate(layered(trees, overrides, variant)[0])
        yield Stage(layer, written, compose(trees, overrides, variant).root)
    except BlueprintError:
        # What a parent lacks its child may give: the whole has been found in order.
        return


def settings(found: Sequence[Stage], path: Path) -> Iterator[Setting]:
    """The layers that set the value at ``path`` of the validated blueprint, in order."""
    last: Node | None = None
    for stage in found:
        around, node, rest = file_steps(stage.expanded, path)
        if rest:
            if last is not None:
                table = ".".join(map(str, around)) or "the file"
                yield Setting(stage.layer, None, node.at, (f"{table} is said anew, without it",))
            last = None
        elif last is None or (node.at, plain(node)) != (last.at, plain(last)):
            value, said = _meant(node, around, path)
            yield Setting(_layer(stage.layer, node.at), value, node.at, (*_notes(stage, node), *said))
            last = node


def _meant(node: Node, around: Path, path: Path) -> tuple[object, tuple[str, ...]]:
    """The value at ``path``, and how: a list of blocks says the keys of the sequence that it stands for."""
    value = plain(node)
    if around[-1:] == path[-1:]:
        return value, ()
    table = Block.from_shorthand(value)
    return (table[path[-1]] if isinstance(table, dict) else value), ("a list is a sequence",)


def written_settings(found: Sequence[Stage], path: Path) -> Iterator[Setting]:
    """The layers that set the value at ``path`` of the blueprint as it is written: free values, arguments of parts."""
    last: Node | None = None
    for stage in found:
        node = stage.written.get(path)
        table = stage.written.get(path[:-1])
        use = table.child("use") if table is not None else None
        part = parts().get(use.value) if use is not None and isinstance(use.value, str) else None
        default = part.parameters.get(str(path[-1])) if part is not None else None
        shown = node or default
        if shown is None or (last is not None and (shown.at, plain(shown)) == (last.at, plain(last))):
            continue
        last = shown
        of = (f"for part {part.name}",) if part is not None and path[-1] != "use" else ()
        if node is None:
            yield Setting("default", plain(shown), shown.at, of)
        else:
            yield Setting(stage.layer, plain(node), node.at, (*_ways(stage.layer, node.at), *of))


def _layer(layer: str, origin: Origin) -> str:
    """The layer, or the part that stands in it where the value is the part's own."""
    own = [note for note in origin.notes if note.startswith("part ")]
    return own[-1].partition(",")[0] if own else layer


def _notes(stage: Stage, node: Node) -> tuple[str, ...]:
    """An argument of a part has its key in the part's body: that place too is told."""
    ways = _ways(stage.layer, node.at)
    if any(way.startswith("part ") for way in ways):
        return ways
    return (*ways, *(f"into {note}" for note in node.key.notes if note.startswith("part ")))


def _ways(layer: str, origin: Origin) -> tuple[str, ...]:
    """How a value came from where it stands; that a variant says it, the layer says already."""
    return tuple(note for note in origin.notes if note != layer)
