"""Commands that only read blueprints: none of them imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from composer.cli.answers import (
    fail,
    problems_json,
    problems_text,
    read,
    read_all,
    refuse,
    say,
    warnings_json,
    warnings_text,
)
from composer.cli.arguments import BlueprintArgument, BlueprintArguments, Json, Overrides, Variants
from composer.cli.completion import arguments as complete
from composer.spec.quantities import counted

if TYPE_CHECKING:
    from composer.blueprint import Loaded


def check(blueprints: BlueprintArguments, as_json: Json = False) -> None:
    """Report every problem of blueprints, each at its line.

    Variants are checked too, or the chosen ones alone. Warnings say what runs will not do as it seems.

    Examples:
        composer check quickstart
        composer check dmc/sac_simba@small+clipped training.env_steps=10_000
    """
    from composer.blueprint import BlueprintError
    from composer.blueprint.checks.same_names import same_names
    from composer.blueprint.load import report
    from composer.blueprint.syntax.notation import experiments

    try:
        found = experiments(blueprints)
    except BlueprintError as error:
        refuse(error, as_json)
    reports = [report(*each) for each in found]
    problems = [problem for each in reports for problem in each.problems]
    warnings = [warning for each in reports for warning in each.warnings]
    warnings += same_names(each.loaded for each in reports if each.loaded)
    unknown = [each.loaded.blueprint.environment.title for each in reports if each.loaded and not each.loaded.is_known]
    if as_json:
        print(json.dumps(problems_json(problems) | warnings_json(warnings) | {"not_known_until_training": unknown}))
    elif problems or warnings:
        print("\n".join(filter(None, (problems_text(problems), warnings_text(warnings)))))
    if not (as_json or problems):
        warned = f", {counted(len(warnings), 'warning')}" if warnings else ""
        say(f"{counted(len(found), 'blueprint')} in order{warned}")
    for title in unknown:
        say(f"{title} is not built to check: shapes, memory and whether the algorithm fits are checked at training")
    raise typer.Exit(2 if problems else 0)


def lint(blueprints: BlueprintArguments, as_json: Json = False) -> None:
    """Give advice on blueprints, each with its source.

    Advice is not an error: the exit code is 0.

    Examples:
        composer lint quickstart dmc/sac_simba
    """
    from composer.blueprint import BlueprintError
    from composer.blueprint.inspect import lint as linting
    from composer.blueprint.syntax.notation import experiments

    try:
        # Advice on a common parent is given once.
        advice = list(dict.fromkeys(one for each in experiments(blueprints) for one in linting.lint(*each)))
    except BlueprintError as error:
        refuse(error, as_json)
    if as_json:
        print(json.dumps(linting.lint_json(advice)))
    elif advice:
        print(linting.lint_text(advice))
    else:
        say("no advice")


def show(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    diagram: Annotated[
        Path | None, typer.Option(help="Also draw the networks here: a .svg, .png or .pdf file.")
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="List the paths of parameters that 'where' selects, also of a wrong file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a blueprint: networks, shapes, memory and timeline.

    Examples:
        composer show dmc/sac_simba@small
        composer show quickstart --diagram networks.svg
    """
    from composer.blueprint.inspect.removed import removed_json
    from composer.blueprint.inspect.show import show_json
    from composer.blueprint.inspect.show_text import show_text

    if paths:
        _list_paths(blueprint, overrides, variant, as_json)
        return
    loaded = read(blueprint, overrides, variant, as_json)
    removed = removed_json(loaded)
    if diagram is not None:
        _draw(loaded, diagram, as_json)
    print(json.dumps(show_json(loaded.blueprint, removed)) if as_json else show_text(loaded.blueprint, removed))


def _list_paths(blueprint: str, overrides: list[str] | None, variants: list[str] | None, as_json: bool) -> None:
    """Networks that can be built, on standard output; what is wrong with the blueprint, on standard error."""
    from composer.blueprint import BlueprintError
    from composer.blueprint.inspect.parameter_paths import parameter_paths, paths_json, paths_text
    from composer.blueprint.load import read_written
    from composer.blueprint.syntax.notation import experiment

    try:
        found, problems = parameter_paths(read_written(*experiment(blueprint, overrides or (), variants or ())))
    except BlueprintError as error:
        refuse(error, as_json)
    if problems and not found:
        refuse(BlueprintError(problems), as_json)
    if as_json:
        print(json.dumps({"paths": paths_json(found), "problems": problems_json(problems)["problems"]}))
    else:
        print(paths_text(found))
        if problems:
            say(problems_text(problems))


def metrics(
    blueprint: BlueprintArgument, overrides: Overrides = None, variants: Variants = None, as_json: Json = False
) -> None:
    """List every metric that a run of a blueprint writes.

    Name, meaning, unit, range, and when it is written.

    Examples:
        composer metrics quickstart
    """
    from composer.blueprint.inspect.metrics_list import metrics_json, metrics_text

    found = read(blueprint, overrides, variants, as_json).blueprint
    print(json.dumps(metrics_json(found)) if as_json else metrics_text(found))


def diff(
    blueprints: BlueprintArguments,
    full: Annotated[bool, typer.Option("--full", help="Every resolved key instead of what was written.")] = False,
    as_json: Json = False,
) -> None:
    """Compare what two blueprints write, and their sizes.

    Parameters, operations and memory.

    ~ marks what both have, - what the left one alone has, + what the right one alone has. The exit code is 0 also where
    they differ.

    Examples:
        composer diff dmc/sac_simba dmc/sac_simba@small
        composer diff quickstart quickstart networks.critic.trunk.width=512
    """
    from composer.blueprint.inspect import diff as differences
    from composer.cli.coloured import columns_of_stdout, print_lines

    found = read_all(blueprints, as_json)
    if len(found) != 2:
        fail(f"diff compares two blueprints, got {len(found)}", 2, as_json)
    ours, theirs = found
    if as_json:
        print(json.dumps(differences.diff_json(ours, theirs)))
    else:
        print_lines(differences.diff_lines(ours, theirs, full, columns_of_stdout(differences.WIDTH)))


def explain(
    blueprint: BlueprintArgument,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="A key or a table, such as networks.critic.trunk.", autocompletion=complete.key
        ),
    ],
    overrides: Overrides = None,
    variant: Variants = None,
    as_json: Json = False,
) -> None:
    """Explain a key: meaning, possible values, where it was set.

    Examples:
        composer explain dmc/sac_simba networks.critic.trunk.width
    """
    from composer.blueprint import BlueprintError
    from composer.blueprint.inspect import explain as explaining
    from composer.blueprint.syntax.notation import experiment

    try:
        chosen = experiment(blueprint, overrides or (), variant or ())
        found = explaining.explain(chosen.path, key, chosen.overrides, chosen.variant)
    except BlueprintError as error:
        refuse(error, as_json)
    except explaining.UnknownKeyError as error:
        fail(str(error), 2, as_json)
    print(json.dumps(explaining.explain_json(found)) if as_json else explaining.explain_text(found))


def parts(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A part, such as simba.", autocompletion=complete.part)
    ] = None,
    as_json: Json = False,
) -> None:
    """List named parts, or show one with its size and an example.

    A part is a TOML file that combines kinds under a name, use = "simba". The kinds themselves, kind = "linear", are
    in 'composer kinds'; kinds of plug-ins are listed here too.

    Examples:
        composer parts simba
    """
    from composer.blueprint.inspect import parts_list as catalogue

    report_broken_plugins()
    try:
        print(json.dumps(catalogue.parts_json(name)) if as_json else catalogue.parts_text(name))
    except catalogue.UnknownPartError as error:
        fail(str(error), 2, as_json)


def eject(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    out: Annotated[Path | None, typer.Option(help="Write the file here; otherwise it is printed.")] = None,
) -> None:
    """Print the networks of a blueprint as one file of plain torch.

    Examples:
        composer eject quickstart --out networks.py
    """
    from composer.blueprint.inspect.eject import EjectError
    from composer.blueprint.inspect.eject import eject as ejected

    loaded = read(blueprint, overrides, variant, False)
    try:
        text = ejected(loaded.blueprint)
    except EjectError as error:
        fail(str(error), 2, False)
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{out}: cannot be written ({error.strerror})", 2, False)
    say(f"written: {out}")


def schema() -> None:
    """Print the JSON Schema of blueprints, for editors.

    Kinds and parts of plug-ins are included.

    Examples:
        composer schema > schema.json
    """
    from composer.blueprint.inspect.json_schema import schema_json

    report_broken_plugins()
    print(json.dumps(schema_json(), indent=1))


def report_broken_plugins() -> None:
    """Load every installed plug-in, and say which of them do not work."""
    from composer.blueprint.syntax.parts import installed_problems

    for line in installed_problems():
        say(line)


def _draw(loaded: Loaded, path: Path, as_json: bool) -> None:
    from composer.blueprint.inspect.diagram import UndrawableError, draw

    try:
        draw(loaded.blueprint, path)
    except UndrawableError as error:
        fail(str(error), 2, as_json)
    say(f"drawn: {path}")
