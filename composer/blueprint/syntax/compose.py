"""From the trees of files to the one tree that is validated: variant, overrides, references, parts, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from composer.blueprint.schema import SLUG_RULE, is_slug
from composer.blueprint.syntax.extends import merged
from composer.blueprint.syntax.interpolation import MAX_HINTS, Budget, interpolate, mentioned, references
from composer.blueprint.syntax.nodes import Node, merge, show_path, walk, with_note
from composer.blueprint.syntax.overrides import COMMAND_LINE, Override, apply_override
from composer.blueprint.syntax.parts import is_part
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, problem
from composer.blueprint.syntax.requires import load_required
from composer.spec.wording import INTEGER_RULE, INTEGERS, describe, near, spelled, suggestion

BEFORE_VALIDATION = {
    "extends": "The parent: a file beside this one, or a shipped blueprint.",
    "values": "Free values, to which `${values.name}` refers.",
    "variants": "Small diffs of this file, by name.",
}
"""Keys of a file that are processed before validation and are no fields of ``Blueprint``, with their documentation."""
MAX_VARIANTS = 64
"""Most variants of one file."""


@dataclass(frozen=True)
class Composed:
    """A tree without references and parts, and the problems of composing it."""

    root: Node
    variants: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    skipped: frozenset[Path] = frozenset()
    """Paths whose problems are reported already."""
    too_large: tuple[Problem, ...] = ()
    """Integers outside of TOML's range; reported where validation finds nothing else wrong with the value."""
    effort: int = 0
    """Values created while composing, a measure of its cost."""


def compose(trees: Sequence[Node], overrides: Sequence[Override], variant: str | None = None) -> Composed:
    """Compose the trees of a file and its parents (oldest first) under a variant and overrides.

    Raises BlueprintError where no tree results. Other problems are in the result.
    """
    root, variants = layered(trees, overrides, variant)
    problems: list[Problem] = [*_unused(root, [*trees, *(override.node for override in overrides)], trees[-1].at.file)]
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
    return Composed(root, tuple(variants), tuple(problems), frozenset(skipped), too_large, effort)


def layered(
    trees: Sequence[Node], overrides: Sequence[Override], variant: str | None = None
) -> tuple[Node, Mapping[str, Node]]:
    """The merged tree, with references and parts still in it, and the variants of the file; raises BlueprintError."""
    whole = merged(trees)
    if not whole.value:
        message = "empty; needs [environment], [algorithm], [networks], [optimizers] and [training]"
        raise BlueprintError([problem(whole.at, "", message)])
    if is_part(whole):
        message = "this is a part, not a blueprint; blueprints name it with 'use'"
        raise BlueprintError([problem(whole.at, "", message)])
    variants = _variants(whole)
    root = replace(whole, value={name: child for name, child in whole.value.items() if name != "variants"})
    if variant is not None:
        root = _with_variant(root, variants, variant)
    for override in overrides:
        root = apply_override(root, override)
    return root, variants


def _variants(whole: Node) -> dict[str, Node]:
    node = whole.value.get("variants")
    if node is None:
        return {}
    if not node.is_table:
        raise BlueprintError([problem(node.at, "variants", f"expected table, got {describe(node.value)}")])
    if len(node.value) > MAX_VARIANTS:
        message = f"{len(node.value):,} variants; limit {MAX_VARIANTS}"
        raise BlueprintError([problem(node.at, "variants", message)])
    for name, child in node.value.items():
        path = show_path(("variants", name))
        if not child.is_table:
            raise BlueprintError([problem(child.at, path, f"expected table, got {describe(child.value)}")])
        if not is_slug(name):
            raise BlueprintError([problem(child.key, path, f"a variant's name: {SLUG_RULE}")])
        for key in ("extends", "variants"):
            if key in child.value:
                raise BlueprintError([problem(child.value[key].key, f"{path}.{key}", f"a variant has no {key!r}")])
    variants: dict[str, Node] = node.value
    return variants


def _with_variant(root: Node, variants: dict[str, Node], name: str) -> Node:
    if name not in variants:
        hint = suggestion(name, variants).removeprefix("; ") if variants else "it declares none"
        raise BlueprintError([problem(root.at, "", f"no variant named {spelled(name)}", hint)])
    return merge(root, with_note(variants[name], f"variant {name}"))


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
    missing = {str(target[1]) for target in targets if target[:1] == ("values",) and root.get(target) is None}
    hints = MAX_HINTS
    for path, node in walk(values, ("values",)):
        is_leaf = not any(True for _ in node.children())
        used = path in towards or any(path[:length] in targets for length in range(len(path)))
        if is_leaf and not used and node.at.file in (file, COMMAND_LINE):
            meant = near(str(path[-1]), missing) if hints else None
            hints -= bool(hints)
            hint = f"did you mean {meant!r}?" if meant else ""
            yield problem(node.key, show_path(path), "nothing refers to this value", hint)


def _beyond_integers(root: Node) -> Iterator[Problem]:
    for path, node in walk(root):
        if isinstance(node.value, int) and node.value not in INTEGERS:
            yield problem(node.at, show_path(path), f"{INTEGER_RULE}, got {describe(node.value)}")
