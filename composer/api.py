"""The functions of ``import composer``: load, loads, compose, part, build, train.

They check, report and run as the command line does. Loading and composing import no torch. Tests: tests/api/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pydantic import create_model

from composer import blueprint as language
from composer.blueprint import Blueprint, BlueprintError
from composer.blueprint.checks.form import validate
from composer.blueprint.checks.part_file import families
from composer.blueprint.load import ensure_checked
from composer.blueprint.load import loads as language_loads
from composer.blueprint.omegaconf_boundary import to_table
from composer.blueprint.schema import FORMAT, SLUG_RULE, is_slug
from composer.blueprint.syntax.nodes import annotate
from composer.blueprint.syntax.notation import combination, experiment, names_in
from composer.blueprint.syntax.parts import parts
from composer.blueprint.syntax.parts_expand import expand
from composer.blueprint.syntax.problems import Problem, problem
from composer.blueprint.syntax.variants import AND
from composer.spec import builtin_kinds as kinds
from composer.spec import plugins
from composer.spec.family import Spec, plain_value
from composer.spec.stages import stage
from composer.spec.wording import quote

if TYPE_CHECKING:
    from torch import nn

    from composer.networks.blocks import Block
    from composer.networks.heads import Head
    from composer.networks.network import Network
    from composer.training.runs.results import Result

COMPOSED = "composed in Python"
"""The file in problems of a blueprint that was written in Python."""


def load(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), variant: str | Sequence[str] | None = None
) -> Blueprint:
    """Load a blueprint from a TOML file, or the shipped one of that name, as the command line does.

    ``load("dmc/sac_simba@small+clipped", ["training.env_steps=1_000", "~averages.target"])`` lays two variants over the
    file, sets a key and removes one; ``variant="small+clipped"`` and ``variant=["small", "clipped"]`` do the same.
    Raises BlueprintError, whose ``problems`` list everything that is wrong, each at its line.
    """
    return language.load(*experiment(str(path), overrides, names_in(variant)), is_to_run=False).blueprint


def compose(*, overrides: Sequence[str] = (), variant: str | Sequence[str] | None = None, **keys: Any) -> Blueprint:
    """Write a blueprint in Python: ``compose(name="mine", seeds=[0], environment=DmControl(task=...), ...)``.

    Keys are those of a file without a parent (``blueprint`` may be left out). Values are specs, parts, or the values of
    a file: dicts for tables, lists, numbers, strings. ``overrides`` and ``variant``, of those in the key ``variants``,
    are as for ``load``. Raises BlueprintError with the paths of a file.
    """
    chosen = combination(names_in(variant))
    return language_loads(plain_value({"blueprint": FORMAT, **keys}), COMPOSED, overrides, chosen)


def loads(
    values: Mapping[str, Any], overrides: Sequence[str] = (), variant: str | Sequence[str] | None = None
) -> Blueprint:
    """The blueprint in a table of Python, or in a config of OmegaConf such as Hydra passes to an application.

    Keys are those of a file without a parent (``blueprint`` may be left out; null is as good as absent). A config is
    resolved first, by the resolvers of its own process. ``overrides`` and ``variant`` are as for ``compose``. Raises
    BlueprintError with the paths of a file, also for values that a config lacks (``???``).
    """
    table = to_table(values)
    chosen = combination(names_in(variant))
    return language_loads({"blueprint": FORMAT, **table}, COMPOSED, overrides, chosen)


def part(name: str, /, **parameters: Any) -> Any:
    """The spec of a named part with the given parameters: ``part("simba", width=64)`` is a block.

    Loads the plug-in of a part such as ``acme/mlp``; a blueprint lists it in ``requires``. Raises BlueprintError.
    """
    kinds.register()
    use = annotate({"use": name, **plain_value(parameters)}, {}, COMPOSED)
    try:
        required = [plugins.load(owner).distribution for owner in plugins.distributions_of(name)]
    except plugins.PluginError as error:
        raise BlueprintError([problem(use.at, "use", error.message, error.hint)]) from None
    known = parts()
    body, problems = expand(use, known, required=required)
    if problems:
        raise BlueprintError(problems.values())
    family = known[name].family
    holder = create_model("Part", __base__=Spec, **{family: (families()[family], ...)})  # type: ignore[call-overload]
    root = annotate({family: None}, {}, COMPOSED).rebuilt({family: body})
    found, invalid = validate(root, frozenset(), holder)
    if found is None:
        raise BlueprintError(invalid)
    return getattr(found, family)


@overload
def build(subject: Blueprint, *, seed: int | None = None) -> dict[str, nn.Module]: ...


@overload
def build(subject: Block, shape: Sequence[int], *, seed: int | None = None) -> nn.Module: ...


@overload
def build(subject: Head | Network, shape: Sequence[int], actions: int, *, seed: int | None = None) -> nn.Module: ...


def build(subject: Any, shape: Sequence[int] = (), actions: int = 0, *, seed: int | None = None) -> Any:
    """Build plain torch modules on the CPU, in training mode, filled by the declared initialisers.

    Of a blueprint: its networks by role, with the weights that a run of ``seed`` (by default its first) starts with, to
    the last bit. Of a network, a head or a block: one module on samples of ``shape``; heads and networks take the
    number of ``actions`` too, and ``seed`` is 0 by default. Several copies of a network are a ``ModuleList``.

    Raises BlueprintError for a blueprint with problems, ShapeError for a shape that does not fit.
    """
    from composer.networks.blocks import Block
    from composer.networks.heads import Head
    from composer.networks.network import Network
    from composer.training.plain_modules import module_of, modules_of

    if isinstance(subject, Blueprint):
        checked = ensure_checked(subject, is_to_run=False)
        return modules_of(checked.agent, checked.seeds[0] if seed is None else seed)
    if not isinstance(subject, Block | Head | Network):
        raise TypeError(f"expected a blueprint, a network, a head or a block, got {type(subject).__name__}")
    return module_of(subject, shape, actions, seed or 0)


def train(
    blueprint: Blueprint,
    runs: str | os.PathLike[str] = "runs",
    *,
    variant: str | Sequence[str] | None = None,
    quiet: bool = True,
    profile: bool = False,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Result:
    """Train a blueprint in a new directory below ``runs``, as ``composer train`` does, to its end.

    The run is called after ``variant`` too: by default the variants under which the blueprint was loaded, otherwise one
    name, or several that were combined. ``profile`` reports where the time went. The run's directory is called after
    ``name`` instead where that is given; ``tags`` go into ``run.json`` and the tracking store. Raises LabelError for
    those that cannot be, BlueprintError for a blueprint with problems or without the memory on this machine, and
    ``composer.training.endings.Stopped``, with the command that continues the run, where it ends early. Ctrl-C saves a
    checkpoint and stops.
    """
    stage("importing torch")
    from composer.training import assemble, launch
    from composer.training.runs.labels import labels

    called = labels(name, tags or {})
    chosen = blueprint.derived.get("variant") if variant is None else combination(names_in(variant))
    for each in chosen.split(AND) if chosen is not None else ():
        if not is_slug(each):
            raise BlueprintError([Problem(COMPOSED, 1, 1, "variant", f"{SLUG_RULE}; got {quote(each)}")])
    run, session = assemble.start(ensure_checked(blueprint, is_to_run=True), Path(runs), chosen, called)
    return launch.train_to_end(run, session, quiet=quiet, profiled=profile)
