"""composer from Python: what ``import composer`` offers, besides ``composer.build`` (composer.training.plain_modules).

Everything here gives what the command line would: the same checks, the same messages, the same runs. Reading and
composing import no torch. Tests: tests/api/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from composer import blueprint as language
from composer.blueprint import Blueprint, BlueprintError
from composer.blueprint.checks.form import validate
from composer.blueprint.checks.part_file import families
from composer.blueprint.load import ensure_checked, loads
from composer.blueprint.schema import FORMAT
from composer.blueprint.syntax.extends import named
from composer.blueprint.syntax.nodes import annotate
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.problems import problem
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import Family, Spec, dump_tagged

if TYPE_CHECKING:
    from composer.training.runs.results import Result

COMPOSED = "composed in Python"
"""Stands for the file in problems of what was written in Python."""


def load(path: str | os.PathLike[str], overrides: Sequence[str] = (), variant: str | None = None) -> Blueprint:
    """The blueprint in a TOML file, or the shipped one of that name, under ``KEY=VALUE`` overrides and a variant.

    Raises BlueprintError, whose ``problems`` say everything that is wrong, each at its line.
    """
    return language.load(named(Path(path)), overrides, variant, is_to_run=False).blueprint


def compose(**keys: Any) -> Blueprint:
    """A blueprint written in Python: ``compose(name="mine", seeds=[0], environment=DmControl(task=...), ...)``.

    Keys are those of a file (``blueprint`` may be left out); values are specs, parts, or what stands in a file: tables
    as dicts, lists, numbers, strings. Raises BlueprintError, whose paths are those of a file; ``composer.dump`` of the
    result is the file.
    """
    return loads(_table({"blueprint": FORMAT, **keys}), COMPOSED)


def part(name: str, /, **parameters: Any) -> Any:
    """The spec that a named part stands for, under its parameters: ``part("simba", width=64)`` is a block.

    The plug-in of a part such as ``acme/mlp`` is loaded; a blueprint names it in ``requires``. Raises BlueprintError.
    """
    kinds.register()
    use = annotate({"use": name, **_table(parameters)}, {}, COMPOSED)
    try:
        having = [plugins.load(owner).distribution for owner in plugins.owners(name)]
    except plugins.PluginError as error:
        raise BlueprintError([problem(use.at, "use", error.message, error.hint)]) from None
    known = parts()
    body, problems = expand(use, known, required=having)
    if problems:
        raise BlueprintError(problems.values())
    family = known[name].family
    holder = create_model("Part", __base__=Spec, **{family: (families()[family], ...)})  # type: ignore[call-overload]
    root = annotate({family: None}, {}, COMPOSED).rebuilt({family: body})
    found, invalid = validate(root, frozenset(), holder)
    if found is None:
        raise BlueprintError(invalid)
    return getattr(found, family)


def train(
    blueprint: Blueprint,
    runs: str | os.PathLike[str] = "runs",
    *,
    variant: str | None = None,
    quiet: bool = True,
    profile: bool = False,
) -> Result:
    """Train a blueprint in a new directory below ``runs``, as ``composer train`` does, to its end.

    ``variant`` is noted as the name of what was trained; ``profile`` reports where the time went. Raises BlueprintError
    where the blueprint does not make sense or this machine has no memory for it, and
    ``composer.training.endings.Stopped`` where the run ends early, with the command that continues it; Ctrl-C saves
    before it stops.
    """
    from composer.training import launch

    return launch.start(ensure_checked(blueprint, is_to_run=True), Path(runs), variant, quiet, profile)


def _table(value: Any) -> Any:
    """Specs as the tables that stand for them in a file; absent options are left out."""
    if isinstance(value, Family):
        return _table(dump_tagged(value))
    if isinstance(value, Spec):
        return _table(value.model_dump())
    if isinstance(value, Mapping):
        return {key: _table(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_table(item) for item in value]
    return value
