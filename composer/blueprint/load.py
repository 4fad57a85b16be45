"""Load a blueprint: file, variant and overrides to a checked ``Blueprint``. Tests: tests/blueprint/test_load.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from composer.blueprint.checks.causes import with_causes
from composer.blueprint.checks.check import RESOLVED, check_composed, check_memory, is_checked, is_known, warnings_in
from composer.blueprint.checks.form import MAX_PROBLEMS
from composer.blueprint.checks.part_file import check_part
from composer.blueprint.checks.spec_at import file_steps
from composer.blueprint.schema import Blueprint
from composer.blueprint.serialize import resolved
from composer.blueprint.syntax.compose import Composed, Written
from composer.blueprint.syntax.extends import read_chain
from composer.blueprint.syntax.interpolation import MAX_VALUES
from composer.blueprint.syntax.nodes import Node, Origin, annotate, read_path
from composer.blueprint.syntax.overrides import COMMAND_LINE, Override, read_overrides
from composer.blueprint.syntax.parts import is_part
from composer.blueprint.syntax.positions import Path
from composer.blueprint.syntax.problems import BlueprintError, Problem, ordered, problem
from composer.blueprint.syntax.read import read_tree
from composer.blueprint.syntax.removal import Removal
from composer.networks.blocks.base import declared_blocks
from composer.tracking.project import ANYWHERE

MAX_EFFORT = 40_000
"""Most values and blocks that ``check`` goes through in a file and its variants: a second's work."""


@dataclass(frozen=True)
class Loaded:
    """A checked blueprint with the origins of its values."""

    blueprint: Blueprint
    tree: Node
    """The values that were validated, with their origins."""
    variants: tuple[str, ...]
    """Names of the file's variants."""
    variant: str | None = None
    """The combination of variants under which it was loaded, such as ``small+clipped``."""
    overrides: tuple[str, ...] = ()
    removals: tuple[Removal, ...] = ()
    """What the file, its parents, its variants and the overrides removed, in order."""

    def origin(self, path: str | Path) -> Origin:
        """Where the value at ``path`` was written, or the nearest table around it where the file leaves it out."""
        return file_steps(self.tree, path if isinstance(path, tuple) else read_path(path) or ())[1].at

    @property
    def warnings(self) -> list[Problem]:
        """What the blueprint says and its run will not do, or not as it seems, each at its line."""
        return warnings_in(self.blueprint)

    @property
    def is_known(self) -> bool:
        """Whether everything was checked: what depends on an environment that reading does not build, was not."""
        return is_known(self.blueprint)

    @property
    def title(self) -> str:
        """The blueprint's name with the variants and the overrides: ``sac-simba@small seeds=[0]``."""
        under = f"@{self.variant}" if self.variant else ""
        return " ".join([f"{self.blueprint.name}{under}", *self.overrides])

    @property
    def resolved(self) -> dict[str, Any]:
        """The blueprint as a plain table, with every default and without parents, parts and references."""
        return resolved(self.blueprint)


def load(
    path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None, *, is_to_run: bool = True
) -> Loaded:
    """Load the blueprint at ``path`` under overrides (``KEY=VALUE``, ``~KEY``) and a ``variant``, or ``small+clipped``.

    Raises BlueprintError with every problem: of syntax, of values, of their combination, and, with ``is_to_run``, of
    this machine, for which alone the module of an environment is imported: its memory, and the environment.
    """
    whole = read_written(path, overrides, variant)
    composed = whole.composed()
    try:
        loaded = _finished(whole, composed, is_to_run)
    except BlueprintError as error:
        raise BlueprintError(with_causes(error.problems, whole, partial(_checked, is_to_run=is_to_run))) from error
    loaded.blueprint.derived["file"] = FilePath(path)
    return replace(loaded, overrides=tuple(overrides))


def read_written(path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None) -> Written:
    """A file with its parents, overrides and variant, read but not composed; raises BlueprintError."""
    return Written(tuple(read_chain(FilePath(path))), tuple(read_overrides(overrides)), variant)


def load_tree(
    trees: Sequence[Node], changes: Sequence[Override | Removal], variant: str | None, *, is_to_run: bool
) -> Loaded:
    """Load a file that is read already, with its parents, the oldest first; the rest is as for ``load``."""
    written = Written(tuple(trees), tuple(changes), variant)
    return _finished(written, written.composed(), is_to_run)


def _finished(written: Written, composed: Composed, is_to_run: bool) -> Loaded:
    loaded = _loaded(composed, is_to_run, discovers=is_to_run)
    loaded.blueprint.derived |= {"variant": written.variant, "written": written}
    # A store that the user names on the command line may be anywhere; one in a file is in the project of that file.
    tracking = loaded.blueprint.tracking
    file = loaded.origin(f"tracking.{tracking.place}").file
    tracking.allow(ANYWHERE if file == COMMAND_LINE else FilePath(file).absolute().parent)
    return replace(loaded, variant=written.variant)


def loads(values: Mapping[str, Any], file: str, overrides: Sequence[str] = (), variant: str | None = None) -> Blueprint:
    """The blueprint in a table that may hold parts and references, as if read from ``file``; raises BlueprintError."""
    written = Written((annotate(dict(values), {}, file),), tuple(read_overrides(overrides)), variant)
    blueprint = _loaded(written.composed(), is_to_run=False, discovers=False).blueprint
    blueprint.derived |= {"variant": variant, "written": written}
    return blueprint


def loads_resolved(values: Mapping[str, Any]) -> Blueprint:
    """The blueprint in a resolved table, such as a run has saved; raises BlueprintError, with paths but without lines.

    Whether this machine has the memory to run it is not checked.
    """
    return _from_resolved(values, is_to_run=False, discovers=False)


def ensure_checked(blueprint: Blueprint, *, is_to_run: bool) -> Blueprint:
    """A checked blueprint equal to ``blueprint``: itself where it is checked already; raises BlueprintError.

    ``load``, ``loads`` and ``loads_resolved`` return checked blueprints, which need no second check. A blueprint made
    in another way (``model_copy``, ``model_construct``, the class itself), or changed in place, is checked here as if
    it had been loaded; so is one whose environment was not known then. Callers run it: its module is imported.
    """
    if is_checked(blueprint, is_to_run=is_to_run):
        return blueprint
    if not is_checked(blueprint, is_to_run=False):
        return _from_resolved(resolved(blueprint), is_to_run, discovers=True)
    problems = check_memory(blueprint, _tree(resolved(blueprint)))
    if problems:
        raise BlueprintError(problems)
    return blueprint


def _checked(written: Written, is_to_run: bool) -> tuple[list[Problem], Node | None]:
    """What ``load_tree`` finds in a composition, and its tree."""
    try:
        composed = written.composed()
    except BlueprintError as error:
        return error.problems, None
    return ordered(check_composed(composed, is_to_run, discovers=is_to_run)[1]), composed.root


def _from_resolved(values: Mapping[str, Any], is_to_run: bool, discovers: bool) -> Blueprint:
    return _loaded(Composed(_tree(values), ()), is_to_run, discovers).blueprint


def _tree(values: Mapping[str, Any]) -> Node:
    return annotate(dict(values), {}, RESOLVED)


@dataclass(frozen=True)
class Report:
    """What ``check`` finds in a file, in order of lines."""

    problems: list[Problem]
    warnings: list[Problem] = field(default_factory=list)
    """Those of the blueprint and of its variants, as far as they have no problem."""
    loaded: Loaded | None = None
    """The blueprint, under the given variants; None of a part, and where it has a problem."""


def check(path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None) -> list[Problem]:
    """Every problem of the blueprint at ``path`` and of its variants, or of the part there, in order of lines."""
    return report(path, overrides, variant).problems


def report(path: str | FilePath, overrides: Sequence[str] = (), variant: str | None = None) -> Report:
    """Every problem and warning of the blueprint at ``path`` and of its variants, or of the part there.

    With a ``variant``, or a combination of several, that one alone is checked. A part is checked with its parameters at
    their defaults. After about a hundred problems the check stops.
    """
    try:
        trees = read_chain(FilePath(path))
        if is_part(trees[-1]) and not overrides and variant is None:
            # A part has no parent: with a key ``extends`` it is read again, and the key reported.
            tree = trees[0] if len(trees) == 1 else read_tree(FilePath(path), str(path))
            return Report(check_part(FilePath(path), tree))
        changes = read_overrides(overrides)
        whole = Written(tuple(trees), tuple(changes), variant)
        bare = whole.composed()
        blueprint, problems = check_composed(bare)
    except BlueprintError as error:
        return Report(error.problems)
    problems = _explained(problems, whole)
    loaded = None if blueprint is None or problems else Loaded(blueprint, bare.root, bare.variants, variant)
    warnings, effort = loaded.warnings if loaded else [], _effort(bare, blueprint)
    for number, name in enumerate(bare.variants if variant is None else ()):
        if len(problems) >= MAX_PROBLEMS:
            break
        if effort > MAX_EFFORT:
            message = f"too large to check all of them: {number} of {len(bare.variants)} are checked"
            here = trees[-1].value["variants"].key
            problems.append(problem(here, "variants", message, "move some to other files"))
            break
        found, taken = _variant(trees, changes, name)
        # A key that the blueprint lacks is missing under every variant too, and reported once.
        missing = {(each.path, each.message) for each in problems if each.message.startswith("missing key")}
        note = f" (variant {name})"
        problems += [each for each in found.problems if (each.path, each.message.replace(note, "")) not in missing]
        warnings += found.warnings
        effort += taken
    return Report(ordered(problems), ordered(warnings), loaded)


def _explained(problems: list[Problem], whole: Written) -> list[Problem]:
    """The problems of ``check`` with their causes."""
    return with_causes(problems, whole, partial(_checked, is_to_run=True)) if problems else problems


def _variant(trees: Sequence[Node], changes: Sequence[Override | Removal], name: str) -> tuple[Report, int]:
    """What is found in one variant, and the number of values and blocks that were checked."""
    try:
        whole = Written(tuple(trees), tuple(changes), name)
        composed = whole.composed()
        blueprint, problems = check_composed(composed)
    except BlueprintError as error:
        return Report(error.problems), MAX_VALUES
    problems = _explained(problems, whole)
    warnings = [] if blueprint is None or problems else warnings_in(blueprint)
    return Report(problems, warnings), _effort(composed, blueprint)


def _effort(composed: Composed, blueprint: Blueprint | None) -> int:
    return composed.effort + (declared_blocks(blueprint.networks) if blueprint else 0)


def _loaded(composed: Composed, is_to_run: bool, discovers: bool) -> Loaded:
    blueprint, problems = check_composed(composed, is_to_run, discovers)
    if blueprint is None or problems:
        raise BlueprintError(problems)
    return Loaded(blueprint, composed.root, composed.variants, removals=composed.removals)
