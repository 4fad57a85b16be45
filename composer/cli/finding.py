"""Commands that say what there is: blueprints, studies, kinds. None of them imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.answers import fail, read_all, say, tell
from composer.cli.arguments import FewBlueprints, Json
from composer.cli.completion import arguments as complete
from composer.cli.reading import report_broken_plugins


def list_(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="A word of the name, the purpose or the source, or a glob of names."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List blueprints and studies: purpose, variants, source, cost.

    Those of this folder and of its folder blueprints/ come first, then those that ship with composer.

    Examples:
        composer list
        composer list plasticity
        composer list 'dmc/*' --json
    """
    from composer.studies import catalogue

    found = catalogue.found(pattern, Path.cwd())
    print(json.dumps(catalogue.table(found)) if as_json else catalogue.text(found, pattern is not None))


def data(
    blueprints: FewBlueprints = None,
    folder: Annotated[Path, typer.Option(help="Where published data sets are looked for.")] = Path("data"),
    sums: Annotated[
        bool, typer.Option("--sums", help="List the SHA-256 of each file, as a blueprint can declare it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell which data sets are here, whole, and what to fetch by hand.

    Nothing is ever fetched, here or by a run. With blueprints, those that they read: the exit code is 6 where one of
    them cannot be used.

    Examples:
        composer data
        composer data warm_start/resnet18 warm_start/vgg16
        composer data --folder /datasets --sums
    """
    used = {each.title: each.blueprint.environment.data_sets() for each in read_all(blueprints or [], as_json)}
    from composer.studies import data_sets

    table = data_sets.answer(folder, used, sums)
    if used and not table["ready"]:
        say(data_sets.text(table))
        fail("some of these data cannot be used", 6, as_json, table)
    tell(table, data_sets.text, as_json)


def kinds(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A family (blocks), a kind (residual, heads/scalar) or a table (replay).",
            autocompletion=complete.kind,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a blueprint can say: kinds, and their keys.

    A kind is written in code, kind = "linear". What combines kinds under a name, use = "simba", is a part: see
    'composer parts'.

    Examples:
        composer kinds
        composer kinds blocks
        composer kinds residual
    """
    from composer.blueprint.inspect.kinds import kinds_json, kinds_text

    report_broken_plugins()
    print(json.dumps(kinds_json(name)) if as_json else kinds_text(name))
