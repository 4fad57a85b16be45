"""From a composed tree to a blueprint that is valid in form and in meaning, or to problems with their lines."""

from __future__ import annotations

from composer.blueprint.checks.form import validate
from composer.blueprint.checks.meaning import verify
from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.compose import Composed
from composer.blueprint.syntax.nodes import Node, read_path, show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem, problem
from composer.blueprint.syntax.requires import required, unrequired_kinds
from composer.spec import builtin_kinds as kinds


def judge(composed: Composed, is_to_run: bool = True) -> tuple[Blueprint | None, list[Problem]]:
    """The blueprint of a tree, and every problem. It is None unless its form is valid; then its meaning is judged.

    Memory is judged only of what is to run: an old run must stay readable on a smaller or a busier machine.
    """
    kinds.register()
    having = required(composed.root, composed.quiet)
    unrequired, quiet = unrequired_kinds(composed.root, having)
    problems = [*composed.problems, *having.problems, *unrequired]
    blueprint, invalid = validate(composed.root, composed.quiet | quiet, Blueprint)
    told = {(found.file, found.line, found.column) for found in invalid}
    problems += invalid
    problems += [found for found in composed.too_large if (found.file, found.line, found.column) not in told]
    if blueprint is not None and not problems:
        problems += [located(composed.root, path, message) for path, message in verify(blueprint, is_to_run)]
    return blueprint, problems


def located(root: Node, path: str | Path, message: str) -> Problem:
    """A problem of meaning at the line that its path leads to, or at the nearest table that the file writes."""
    steps = path if isinstance(path, tuple) else read_path(path) or ()
    message, mark, meant = message.partition("; did you mean ")
    reached, node, rest = file_steps(root, steps)
    return problem(node.at, show_path((*reached, *rest)), message, f"{mark}{meant}".removeprefix("; "))
