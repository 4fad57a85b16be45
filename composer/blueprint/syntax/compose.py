"""From the trees of files to the one tree that is validated: layers, references, parts, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from composer.blueprint.syntax.extends import repeated_names
from composer.blueprint.syntax.interpolation import MAX_HINTS, Budget, interpolate, mentioned, references
from composer.blueprint.syntax.layers import layered
from composer.blueprint.syntax.nodes import Node, show_path, walk
from composer.blueprint.syntax.overrides import COMMAND_LINE, Override
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem, problem
from composer.blueprint.syntax.removal import Removal
from composer.blueprint.syntax.requires import load_required
from composer.spec.wording import INTEGER_RULE, INTEGERS, describe, near

BEFORE_VALIDATION = {
    "extends": "The parent: a file beside this one, or a shipped blueprint.",
    "values": "Free values, to which `${values.name}` refers.",
    "remove": "Keys and entries of lists that are not inherited, such as `interventions.reset`.",
    "variants": "Small diffs of this file, by name; each may name others in `with`, over which it lies.",
}
"""Keys of a file that are processed before validation and are no fields of ``Blueprint``, with their documentation."""


@dataclass(frozen=True)
class Composed:
    """A tree without references and parts, and the problems of composing it."""

    root: Node
    variants: tuple[str, ...]
    removals: tuple[Removal, ...] = ()
    """What files, variants and overrides removed, in order."""
    problems: tuple[Problem, ...] = ()
    skipped: frozenset[Path] = frozenset()
    """Paths whose problems are reported already."""
    too_large: tuple[Problem, ...] = ()
    """Integers outside of TOML's range; reported where validation finds nothing else wrong with the value."""
    effort: int = 0
    """Values created while composing, a measure of its cost."""
    warnings: tuple[Problem, ...] = ()
    """What the files say of themselves and probably do not mean."""


@dataclass(frozen=True)
class Written:
    """What a blueprint was composed from: the arguments of ``compose``."""

    trees: tuple[Node, ...]
    """The file and its parents, the oldest first."""
    changes: tuple[Override | Removal, ...] = ()
    """The overrides."""
    variant: str | None = None

    def composed(self) -> Composed:
        """Its tree; raises BlueprintError where there is none."""
        return compose(self.trees, self.changes, self.variant)


def compose(trees: Sequence[Node], overrides: Sequence[Override | Removal], variant: str | None = None) -> Composed:
    """Compose the trees of a file and its parents (oldest first) under a combination of variants and overrides.

    Raises BlueprintError where no tree results. Other problems are in the result.
    """
    layers = layered(trees, overrides, variant)
    root, written = layers.root, [each.node for each in overrides if isinstance(each, Override)]
    problems: list[Problem] = [*layers.problems, *_unused(root, [*trees, *written], trees[-1].at.file)]
    too_large = (*_beyond_integers(root),)
    budgets = Budget(), Budget()
    root, unresolved, broken = interpolate(root, budgets[0])
    root = replace(root, value={name: child for name, child in root.value.items() if name != "values"})
    required = load_required(root, {*unresolved, *broken})
    root, unexpanded = expand(root, required.parts, budgets[1], required.names)
    reported = {
        path: found
        for path, found in unexpanded.items()
        if path not in {*unresolved, *broken} and not required.fails_to_load(root.get(path))
    }
    # The table of a missing part is not validated.
    skipped = {*unresolved, *broken, *(path[:-1] if path[-1:] == ("use",) else path for path in unexpanded)}
    problems += [*unresolved.values(), *reported.values()]
    effort = sum(budget.spent for budget in budgets)
    warnings = tuple(repeated_names(trees))
    variants, removals, found = tuple(layers.variants), tuple(layers.removals), tuple(problems)
    return Composed(root, variants, removals, found, frozenset(skipped), too_large, effort, warnings)


def _unused(root: Node, trees: Sequence[Node], file: str) -> Iterator[Problem]:
    """Problems of values of this file, or of the command line, to which no file of the chain refers."""
    values = root.value.get("values")
    if values is None:
        return
    if not values.is_table:
        yield problem(values.at, "values", f"expected table, got {describe(values.value)}")
        return
    targets = {target for tree in trees for _, target in references(tree)}
    # A malformed reference is one problem: what it mentions is not reported as unused as well.
    targets |= {target for tree in trees for target in mentioned(tree)}
    towards = {target[:length] for target in targets for length in range(len(target) + 1)}
    referred = [target for target in targets if target[:1] == ("values",) and len(target) > 1]
    missing = {str(target[1]) for target in referred if root.get(target) is None}
    known = {str(target[1]) for target in referred}
    hints = MAX_HINTS
    for path, node in walk(values, ("values",)):
        is_leaf = not any(True for _ in node.children())
        used = path in towards or any(path[:length] in targets for length in range(len(path)))
        if is_leaf and not used and node.at.file in (file, COMMAND_LINE):
            name = str(path[-1])
            # A name that is there already has to be closer: what is unused may be another value.
            meant = (near(name, missing) or near(name, known, 0.8)) if hints else None
            hints -= bool(hints)
            hint = f"did you mean {meant!r}?" if meant else ""
            yield problem(node.key, show_path(path), "nothing refers to this value", hint)


def _beyond_integers(root: Node) -> Iterator[Problem]:
    for path, node in walk(root):
        if isinstance(node.value, int) and node.value not in INTEGERS:
            yield problem(node.at, show_path(path), f"{INTEGER_RULE}, got {describe(node.value)}")
