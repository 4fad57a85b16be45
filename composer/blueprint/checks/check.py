"""Check a composed tree: a blueprint that is valid in form and meaning, or problems at their lines."""

from __future__ import annotations

from collections.abc import Iterable

from composer.blueprint.checks.form import validate
from composer.blueprint.checks.meaning import Finding, meaning_problems, memory_problems
from composer.blueprint.checks.removed import with_removal
from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.checks.warnings import warnings_of
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved
from composer.blueprint.syntax.compose import Composed
from composer.blueprint.syntax.nodes import Node, annotate, read_path, show_path
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import Problem, ordered, problem
from composer.blueprint.syntax.requires import load_required, unrequired_kinds
from composer.environments.interface import SpacesUnknown, UnusableEnvironment
from composer.spec import builtin_kinds as kinds

RESOLVED = "resolved blueprint"
"""The file in problems of a table that was not read from a file."""
_PASSED = "passed checks"
_PASSED_TO_RUN = "passed checks of what is to run"
"""Marks in ``Blueprint.derived``, which hold the checked values. A copy of a blueprint has no mark."""
_COMPOSED = "composed"
"""Key in ``Blueprint.derived`` of the tree that was checked."""


def check_composed(
    composed: Composed, is_to_run: bool = True, discovers: bool = False
) -> tuple[Blueprint | None, list[Problem]]:
    """The blueprint of a tree, or None where its form is invalid; and every problem of form and meaning.

    Memory, and whether a module may be imported, are checked only with ``is_to_run``: an old run must stay readable on
    another machine. Only with ``discovers`` is that module imported. A blueprint without problems, of whose environment
    all is known, is marked as checked (``is_checked``).
    """
    kinds.register()
    required = load_required(composed.root, composed.skipped)
    unrequired, skipped = unrequired_kinds(composed.root, required)
    problems = [*composed.problems, *required.problems, *unrequired]
    blueprint, invalid = validate(composed.root, composed.skipped | skipped, Blueprint)
    reported = {(found.file, found.line, found.column) for found in invalid}
    problems += invalid
    problems += [found for found in composed.too_large if (found.file, found.line, found.column) not in reported]
    problems = [with_removal(found, composed.root, composed.removals) for found in problems]
    if blueprint is not None:
        blueprint.derived[_COMPOSED] = composed
    if blueprint is not None and not problems:
        problems += _environment_problems(blueprint, composed.root, is_to_run, discovers)
        problems += [] if problems else _located(composed.root, meaning_problems(blueprint))
        problems = [with_removal(found, composed.root, composed.removals) for found in problems]
        if not problems and is_known(blueprint):
            blueprint.derived[_PASSED] = resolved(blueprint)
            problems += check_memory(blueprint, composed.root) if is_to_run else []
    return blueprint, problems


def _environment_problems(blueprint: Blueprint, root: Node, is_to_run: bool, discovers: bool) -> list[Problem]:
    """Problems of importing and building the environment here; without ``discovers``, those that show beforehand."""
    refusal = blueprint.environment.refusal() if is_to_run or discovers else None
    if refusal is None:
        try:
            if discovers:
                blueprint.environment.discover()
            is_known(blueprint)
        except UnusableEnvironment as error:
            refusal = error.key, str(error)
    return [] if refusal is None else [located(root, ("environment", refusal[0]), refusal[1])]


def is_known(blueprint: Blueprint) -> bool:
    """Whether shapes, lengths and memory can be told: reading a blueprint imports no module of its environment."""
    try:
        blueprint.environment.info  # noqa: B018 - raises where it is not known
    except SpacesUnknown:
        return False
    return True


def check_memory(blueprint: Blueprint, root: Node) -> list[Problem]:
    """What a checked blueprint needs beyond the memory of this machine; none, and it is marked as checked to run."""
    problems = _located(root, memory_problems(blueprint))
    if not problems:
        blueprint.derived[_PASSED_TO_RUN] = resolved(blueprint)
    return problems


def warnings_in(blueprint: Blueprint) -> list[Problem]:
    """The warnings of a valid blueprint, each at its line, in order of lines."""
    composed = blueprint.derived.get(_COMPOSED) or Composed(annotate(resolved(blueprint), {}, RESOLVED), ())
    return ordered([*composed.warnings, *_located(composed.root, warnings_of(blueprint))])


def is_checked(blueprint: Blueprint, *, is_to_run: bool) -> bool:
    """Whether this blueprint passed all checks, with ``is_to_run`` that of memory too, and has not changed since.

    A frozen blueprint still has tables that can be changed in place: the checked values are compared with its own.
    """
    mark = blueprint.derived.get(_PASSED_TO_RUN if is_to_run else _PASSED)
    return mark is not None and mark == resolved(blueprint)


def _located(root: Node, findings: Iterable[Finding]) -> list[Problem]:
    return [located(root, path, message) for path, message in findings]


def located(root: Node, path: str | Path, message: str) -> Problem:
    """A problem of meaning at the line of its path, or of the nearest table around it that the file contains."""
    steps = path if isinstance(path, tuple) else read_path(path) or ()
    message, mark, meant = message.partition("; did you mean ")
    reached, node, rest = file_steps(root, steps)
    return problem(node.at, show_path((*reached, *rest)), message, f"{mark}{meant}".removeprefix("; "))
