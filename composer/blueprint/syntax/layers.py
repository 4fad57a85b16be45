"""Lay a file over its parents, variants over the file, and overrides over both. Tests: tests/blueprint/test_load.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from composer.blueprint.syntax.nodes import Node, merge, show_path
from composer.blueprint.syntax.overrides import Override, apply_override
from composer.blueprint.syntax.parts import is_part
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.removal import Removal, emptied, empty_table, over_references, remove, take_removals
from composer.blueprint.syntax.variants import Variant, combined, is_agreed, named_by, read_variants
from composer.spec.wording import quote


@dataclass
class Layered:
    """A merged tree, with references and parts still in it."""

    root: Node
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """The variants of the file."""
    chosen: list[str] = field(default_factory=list)
    """Names of the variants that are laid over the file, in order, with those that they name."""
    removals: list[Removal] = field(default_factory=list)
    """What the layers removed, in order."""
    problems: list[Problem] = field(default_factory=list)

    def lay(self, tree: Node) -> None:
        """Lay a file or the table of a variant over what is there, its removals first."""
        tree, removals, malformed = take_removals(tree)
        self.problems += malformed
        self.remove(removals)
        for path, filled, empty in emptied(self.root, tree):
            self.problems.append(empty_table(path, filled, empty, f"remove = [{quote(show_path(path))}]"))
        self.problems += over_references(self.root, tree)
        self.root = merge(self.root, tree)

    def remove(self, removals: Iterable[Removal]) -> None:
        """Remove paths of one layer."""
        self.root, made, problems = remove(self.root, [*removals], self.removals)
        self.removals += made
        self.problems += problems


def layered(trees: Sequence[Node], overrides: Sequence[Override | Removal], combination: str | None = None) -> Layered:
    """The layers of a file and its parents (oldest first), a combination of variants, and overrides.

    Raises BlueprintError where no tree results.
    """
    first = trees[0]
    found = Layered(replace(first, value={}))
    for tree in trees:
        found.lay(tree)
    whole = found.root
    if not whole.value:
        message = "empty; needs [environment], [algorithm], [networks], [optimizers] and [training]"
        raise BlueprintError([problem(whole.at, "", message)])
    if is_part(whole):
        message = "this is a part, not a blueprint; blueprints name it with 'use'"
        raise BlueprintError([problem(whole.at, "", message)])
    if "study" in whole.value:
        message = "this is a study, not a blueprint; 'composer study' reads it"
        raise BlueprintError([problem(whole.at, "", message)])
    found.variants = read_variants(whole)
    found.root = replace(whole, value={name: child for name, child in whole.value.items() if name != "variants"})
    if combination is not None:
        _lay_variants(found, combined(found.variants, combination, whole.at))
    found.remove(each for each in overrides if isinstance(each, Removal))
    for override in overrides:
        if isinstance(override, Override):
            found.root = apply_override(found.root, override)
    return found


def _lay_variants(found: Layered, chosen: Sequence[Variant]) -> None:
    before: list[Variant] = []
    for variant in chosen:
        names = named_by(found.variants, variant.name)
        # A named variant may have removed a key and set it anew: then there is something to remove again.
        found.remove(
            each
            for each in variant.removals
            if not is_agreed(each.path, before, names)
            or (isinstance(each.path[-1], str) and found.root.get(each.path) is not None)
        )
        found.lay(variant.tree)
        found.chosen.append(variant.name)
        before.append(variant)
