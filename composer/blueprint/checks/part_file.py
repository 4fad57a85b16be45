"""Check the file of a part, with its parameters at their defaults, for ``composer check PART.toml``.

In a blueprint, problems of a part are reported at its use; here they are reported at the part's own lines.
Tests: tests/blueprint/test_strict_parts.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path as FilePath

from pydantic import create_model

from composer.blueprint.checks.check import located
from composer.blueprint.checks.form import validate
from composer.blueprint.syntax.interpolation import Budget, mentioned, references
from composer.blueprint.syntax.nodes import Node, show_path, walk
from composer.blueprint.syntax.parts import Part, part_of
from composer.blueprint.syntax.parts_expand import bind, expand
from composer.blueprint.syntax.problems import BlueprintError, Problem, ordered, problem
from composer.interventions.base import Intervention
from composer.networks.blocks.base import Block
from composer.networks.network import Network
from composer.optim.averages import Average
from composer.spec import builtin_kinds as kinds
from composer.spec.family import FAMILIES, Spec
from composer.spec.plugins import is_namespaced, load_installed, loaded
from composer.spec.shape import ShapeError
from composer.spec.wording import near, spelled, suggestion

_TABLES: Mapping[str, type[Spec]] = {"average": Average, "intervention": Intervention, "network": Network}
"""Tables outside of families for which a part may stand."""


def families() -> Mapping[str, type[Spec]]:
    """The specs for which a part may stand, by the name in its key ``family``."""
    return {**FAMILIES, **_TABLES}


def check_part(path: FilePath, tree: Node) -> list[Problem]:
    """Every problem of the part at ``path``, read as ``tree``, in order of lines."""
    kinds.register()
    if any(is_namespaced(node.value) for path, node in walk(tree) if path[-1:] in (("kind",), ("use",))):
        load_installed()
    family = tree.value.get("family")
    known = families()
    if family and isinstance(family.value, str) and family.value not in known:
        message = f"no family named {spelled(family.value)}"
        return [problem(family.at, "family", message, suggestion(family.value, known).removeprefix("; "))]
    try:
        part = part_of(tree, path.stem, tree.at.file)
        bound, unbound = bind(part, part.parameters, (part.family,), Budget())
        expanded, unexpanded = expand(
            replace(tree, value={part.family: bound}), required=[plugin.distribution for plugin in loaded()]
        )
    except BlueprintError as error:
        return error.problems
    reported = {**unbound, **unexpanded}
    skipped = frozenset(path[:-1] if path[-1:] == ("use",) else path for path in reported)
    body, invalid = validate(expanded, skipped, _body_of(part.family, known[part.family]))
    problems = [*_unused(part), *reported.values(), *invalid]
    if body is not None and not problems:
        problems += _misshapen(getattr(body, part.family), part, expanded)
    return ordered(problems)


@cache
def _body_of(name: str, family: type[Spec]) -> type[Spec]:
    """A spec with one key, ``name``, for the body of a part of that family."""
    return create_model("Body", __base__=Spec, **{name: (family, ...)})  # type: ignore[call-overload, no-any-return]


def _misshapen(body: object, part: Part, root: Node) -> Iterator[Problem]:
    """Shapes that do not match on the input that a block declares."""
    if isinstance(body, Block) and part.input is not None:
        try:
            body.outline(part.input)
        except ShapeError as error:
            yield located(root, (part.family, *error.steps), error.message)


def _unused(part: Part) -> Iterator[Problem]:
    used = {target[0] for _, target in references(part.body)} | {target[0] for target in mentioned(part.body)}
    absent = [str(name) for name in used if name not in part.parameters]
    for name, node in part.parameters.items():
        if name not in used:
            meant = near(name, absent)
            hint = f"did you mean {meant!r}?" if meant else ""
            yield problem(node.key, show_path(("parameters", name)), "nothing refers to this parameter", hint)
