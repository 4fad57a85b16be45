"""A file, a variant and overrides to a ``Blueprint``: the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.checks.check import check_composed, check_memory, is_checked
from composer.blueprint.checks.form import MAX_PROBLEMS
from composer.blueprint.checks.part_file import check_part
from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved
from composer.blueprint.syntax.compose import Composed, compose
from composer.blueprint.syntax.extends import read_chain
from composer.blueprint.syntax.interpolation import MAX_VALUES
from composer.blueprint.syntax.nodes import Node, Origin, annotate, read_path
from composer.blueprint.syntax.overrides import read_overrides
from composer.blueprint.syntax.parts import is_part
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, ordered, problem
from composer.blueprint.syntax.read import read_tree
from composer.networks.blocks.base import declared_blocks

MAX_EFFORT = 40_000
"""Values and blocks of a file and its variants that are checked: a second's work, far more than any file needs."""
RESOLVED = "resolved blueprint"
"""Stands for the file in problems of a table that was read from no file."""


@dataclass(frozen=True)
class Origins:
    """Where each value of a blueprint was written."""

    root: Node

    def find(self, path: str | Path) -> Origin:
        """The origin of the value at ``path``; of the nearest table around it where the file leaves it out."""
        steps = path if isinstance(path, tuple) else read_path(path) or ()
        return file_steps(self.root, steps)[1].at


@dataclass(frozen=True)
class Loaded:
    """A valid blueprint, with where its values came from."""

    blueprint: Blueprint
    origins: Origins
    variants: tuple[str, ...]
    """Names of the variants that the file declares."""

    @property
    def resolved(self) -> dict[str, Any]:
        """The blueprint as a plain table: no parent, no part and no reference is left, every default is there."""
        return resolved(self.blueprint)


def load(
    path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None, *, is_to_run: bool = True
) -> Loaded:
    """Read the blueprint at ``path`` under a variant of it and ``KEY=VALUE`` overrides.

    Raises BlueprintError with every problem found: of the text, of the values, and of what they mean together. Whether
    this machine has the memory for it is asked only of what ``is_to_run``.
    """
    composed = compose(read_chain(FilePath(path)), read_overrides(overrides), variant)
    return _loaded(composed, is_to_run)


def loads(values: Mapping[str, Any], file: str) -> Blueprint:
    """The blueprint in a table, parts and references and all, as if ``file`` held it; raises BlueprintError."""
    return _loaded(compose([annotate(dict(values), {}, file)], ()), is_to_run=False).blueprint


def loads_resolved(values: Mapping[str, Any]) -> Blueprint:
    """The blueprint in a resolved table, such as a run has saved; raises BlueprintError, with paths but without lines.

    Whether this machine has the memory to run it is not checked.
    """
    return _from_resolved(values, is_to_run=False)


def ensure_checked(blueprint: Blueprint, *, is_to_run: bool) -> Blueprint:
    """A checked blueprint equal to ``blueprint``: itself where it is checked already; raises BlueprintError.

    ``load`` and its kin return checked blueprints, which need no second check: whoever is handed one trusts it. A
    blueprint made in another way (``model_copy``, ``model_construct``, the class itself) is checked here, as if it had
    been loaded.
    """
    if is_checked(blueprint, is_to_run=is_to_run):
        return blueprint
    if not is_checked(blueprint, is_to_run=False):
        return _from_resolved(resolved(blueprint), is_to_run)
    problems = check_memory(blueprint, _tree(resolved(blueprint)))
    if problems:
        raise BlueprintError(problems)
    return blueprint


def _from_resolved(values: Mapping[str, Any], is_to_run: bool) -> Blueprint:
    return _loaded(Composed(_tree(values), ()), is_to_run).blueprint


def _tree(values: Mapping[str, Any]) -> Node:
    return annotate(dict(values), {}, RESOLVED)


def check(path: str | FilePath) -> list[Problem]:
    """Every problem of the blueprint at ``path``, those of its variants too, in order of lines; none if it is sound.

    A part is judged by itself, with its parameters at their defaults. Of a text that is wrong nearly everywhere it
    tells the first hundred or so.
    """
    try:
        trees = read_chain(FilePath(path))
        if is_part(trees[-1]):
            # A part has no parent: what says that it has one is read again, with that key.
            return check_part(FilePath(path), trees[0] if len(trees) == 1 else read_tree(FilePath(path), str(path)))
        bare = compose(trees, ())
        blueprint, problems = check_composed(bare)
    except BlueprintError as error:
        return error.problems
    effort = _effort(bare, blueprint)
    for number, name in enumerate(bare.variants):
        if len(problems) >= MAX_PROBLEMS:
            break
        if effort > MAX_EFFORT:
            told = f"too large to check all of them: {number} of {len(bare.variants)} are checked"
            here = trees[-1].value["variants"].key
            problems.append(problem(here, "variants", told, "move some to other files"))
            break
        found, taken = _variant(trees, name)
        problems += found
        effort += taken
    return ordered(problems)


def _variant(trees: Sequence[Node], name: str) -> tuple[list[Problem], int]:
    """Problems of one variant, and what it took to find them."""
    try:
        composed = compose(trees, (), name)
        blueprint, problems = check_composed(composed)
    except BlueprintError as error:
        return error.problems, MAX_VALUES
    return problems, _effort(composed, blueprint)


def _effort(composed: Composed, blueprint: Blueprint | None) -> int:
    return composed.effort + (declared_blocks(blueprint.networks) if blueprint else 0)


def _loaded(composed: Composed, is_to_run: bool) -> Loaded:
    blueprint, problems = check_composed(composed, is_to_run)
    if blueprint is None or problems:
        raise BlueprintError(problems)
    return Loaded(blueprint, Origins(composed.root), composed.variants)
