"""Commands that say what there is: blueprints, studies, kinds. None of them imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.arguments import Json
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
