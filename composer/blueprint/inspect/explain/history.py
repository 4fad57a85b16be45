"""The layers of a blueprint (parents, file, variant, overrides), and those that set one value.

The blueprint is composed with one more layer at a time. A layer sets a value where the value or its origin changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.syntax.compose import compose
from composer.blueprint.syntax.interpolation import interpolate
from composer.blueprint.syntax.layers import layered
from composer.blueprint.syntax.nodes import Node, Origin, plain, show_path
from composer.blueprint.syntax.notation import combination
from composer.blueprint.syntax.overrides import Override
from composer.blueprint.syntax.parts import Part, parts
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError
from composer.blueprint.syntax.removal import Removal
from composer.networks.blocks.base import Block


@dataclass(frozen=True)
class Layer:
    """A parent, the file, a variant or an override, with the blueprint up to it."""

    name: str
    """``parent``, ``file``, ``variant NAME`` or ``override``."""
    written: Node
    """The tree with references replaced and parts still used by name."""
    expanded: Node
    """The tree that is validated, with parts expanded."""
    removals: tuple[Removal, ...] = ()
    """What this layer and those before it removed."""

    def removal_of(self, path: Path) -> Removal | None:
        """The newest removal of a key, or of a table around it."""
        return next((each for each in reversed(self.removals) if each.covers(path)), None)


@dataclass(frozen=True)
class Setting:
    """One layer's setting of a value."""

    layer: str
    value: object
    origin: Origin | None
    """None for a default, which is in no file."""
    notes: tuple[str, ...] = ()
    """The references and parts through which the value came from there."""


def layers(trees: Sequence[Node], overrides: Sequence[Override | Removal], variant: str | None) -> Iterator[Layer]:
    """The layers, the oldest parent first and each variant by itself, without those that leave no complete tree."""
    for count in range(1, len(trees) + 1):
        yield from _layer("file" if count == len(trees) else "parent", trees[:count], (), None)
    names = layered(trees, (), variant).chosen
    for count, name in enumerate(names, 1):
        yield from _layer(f"variant {name}", trees, (), combination(names[:count]))
    for count in range(1, len(overrides) + 1):
        yield from _layer("override", trees, overrides[:count], variant)


def _layer(
    name: str, trees: Sequence[Node], overrides: Sequence[Override | Removal], variant: str | None
) -> Iterator[Layer]:
    try:
        written, _, _ = interpolate(layered(trees, overrides, variant).root)
        composed = compose(trees, overrides, variant)
        yield Layer(name, written, composed.root, composed.removals)
    except BlueprintError:
        # A parent may be incomplete; the whole blueprint has been checked.
        return


def settings(found: Sequence[Layer], path: Path) -> Iterator[Setting]:
    """The settings of the value at ``path`` of the validated blueprint, in order."""
    last: Node | None = None
    before: tuple[Removal, ...] = ()
    for layer in found:
        moved = [each for each in layer.removals if each not in before and each.moves(path)]
        before = layer.removals
        around, node, rest = file_steps(layer.expanded, path)
        if rest:
            if last is not None:
                yield _without(layer, path, around, node)
            last = None
        elif last is None or (node.at, plain(node)) != (last.at, plain(last)):
            value, shorthand = _meant(node, around, path)
            up = tuple(f"moved up: {each.key} is removed at {each.at}" for each in moved)
            yield Setting(_source(layer.name, node.at), value, node.at, (*_notes(layer, node), *shorthand, *up))
            last = node


def _without(layer: Layer, path: Path, around: Path, node: Node) -> Setting:
    """The setting of a layer that has no value at ``path``, where the one before it had some."""
    removal = layer.removal_of(path)
    if removal is None:
        return Setting(layer.name, None, node.at, (f"{show_path(around) or 'the file'} is set anew, without it",))
    what = "removed" if removal.path == path else f"{removal.key} is removed"
    return Setting(layer.name, None, removal.at, (what, *_other_notes(layer.name, removal.at)))


def _meant(node: Node, around: Path, path: Path) -> tuple[object, tuple[str, ...]]:
    """The value at ``path``, with a note where a list of blocks stands for the sequence that has the key."""
    value = plain(node)
    if around[-1:] == path[-1:]:
        return value, ()
    table = Block.from_shorthand(value)
    return (table[path[-1]] if isinstance(table, dict) else value), ("a list is a sequence",)


def written_settings(found: Sequence[Layer], path: Path) -> Iterator[Setting]:
    """The settings at ``path`` before parts are expanded: of free values and arguments of parts."""
    last: Node | None = None
    for layer in found:
        node, part = layer.written.get(path), part_at(layer.written, path[:-1])
        default = part.parameters.get(str(path[-1])) if part is not None else None
        shown = node or default
        if shown is None and last is not None and layer.removal_of(path) is not None:
            yield _without(layer, path, (), last)
            last = None
        if shown is None or (last is not None and (shown.at, plain(shown)) == (last.at, plain(last))):
            continue
        last = shown
        of = (f"for part {part.name}",) if part is not None and path[-1] != "use" else ()
        if node is None:
            removal = layer.removal_of(path)
            yield Setting("default", plain(shown), shown.at, (*of, *([f"removed at {removal.at}"] if removal else [])))
        else:
            yield Setting(layer.name, plain(node), node.at, (*_other_notes(layer.name, node.at), *of))


def part_at(written: Node, path: Path) -> Part | None:
    """The part that the table at ``path`` of the tree as written uses, or None."""
    table = written.get(path)
    use = table.child("use") if table is not None else None
    return parts().get(use.value) if use is not None and isinstance(use.value, str) else None


def _source(layer: str, origin: Origin) -> str:
    """The layer, or the part that it uses where the value is the part's own."""
    own = [note for note in origin.notes if note.startswith("part ")]
    return own[-1].partition(",")[0] if own else layer


def _notes(layer: Layer, node: Node) -> tuple[str, ...]:
    """Notes of a value; an argument also has the line of the part's body that it enters."""
    notes = _other_notes(layer.name, node.at)
    if any(note.startswith("part ") for note in notes):
        return notes
    return (*notes, *(f"into {note}" for note in node.key.notes if note.startswith("part ")))


def _other_notes(layer: str, origin: Origin) -> tuple[str, ...]:
    """The notes of an origin without the layer's own name."""
    return tuple(note for note in origin.notes if note != layer)
