"""Commands that make blueprints: from nothing, from another one, from all of its layers. None imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.answers import answer, fail, read, say
from composer.cli.arguments import BlueprintArgument, Json, Overrides, Variants
from composer.cli.completion import arguments as complete

Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


def new(
    algorithm: Annotated[
        str,
        typer.Argument(
            metavar="ALGORITHM", help="A kind: 'composer kinds algorithms'.", autocompletion=complete.algorithm
        ),
    ],
    environment: Annotated[
        str,
        typer.Argument(
            metavar="ENVIRONMENT",
            help="A task (walker-walk, pong), an environment (gymnasium/Pendulum-v1) or data.",
            autocompletion=complete.environment,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the file here; otherwise it is printed.")] = None,
    trunk: Annotated[
        str | None,
        typer.Option(help="The part of all networks, such as simba: 'composer parts'.", autocompletion=complete.part),
    ] = None,
    force: Force = False,
) -> None:
    """Write a commented blueprint of an algorithm in an environment.

    It passes every check and trains. Settings are published ones, comments say what each key does.

    Examples:
        composer new sac walker-walk
        composer new dqn pong --out pong.toml
        composer new sac walker-walk --trunk simba --out walker.toml
    """
    from composer.blueprint.inspect.copy import write_new
    from composer.blueprint.inspect.skeleton import skeleton

    text = skeleton(algorithm, environment, trunk)
    if out is None:
        print(text, end="")
        return
    write_new(out, text, force)
    say(f"written: {out}; now: composer check {out}, composer show {out}, composer train {out}")


def cp(
    blueprint: BlueprintArgument,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The copy, or a folder for it.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Copy a blueprint or a study, comments included, to change it.

    By default the copy has the same name in this folder. What is there already is never replaced without --force.

    Examples:
        composer cp quickstart my.toml
    """
    from composer.blueprint.inspect.copy import copy
    from composer.blueprint.syntax.notation import experiment
    from composer.studies.study.load import shipped_studies

    study = shipped_studies().get(blueprint)
    chosen = experiment(blueprint)
    if chosen.variant is not None:
        fail(
            f"variants are copied with the file: write {blueprint.partition('@')[0]}, or 'composer resolve'", 2, as_json
        )
    path = copy(study or chosen.path, file, force)
    say(f"copied: {path}; give it a name of its own")
    answer({"file": str(path)}, as_json)


def resolve(
    blueprint: BlueprintArgument, overrides: Overrides = None, variant: Variants = None, as_json: Json = False
) -> None:
    """Print the whole blueprint as TOML, everything in place.

    Parents, variants, overrides, parts and defaults: what is printed loads as an equal blueprint.

    Examples:
        composer resolve dmc/sac_simba@small training.env_steps=10_000
    """
    from composer.blueprint.serialize import dump

    loaded = read(blueprint, overrides, variant, as_json)
    print(json.dumps(loaded.resolved) if as_json else dump(loaded.blueprint), end="\n" if as_json else "")
