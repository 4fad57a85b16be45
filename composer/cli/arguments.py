"""Arguments and options that several commands take.

One experiment is written ``FILE@VARIANT+VARIANT KEY=VALUE ~KEY``: ``BlueprintArgument`` and ``Overrides``, with the
option ``Variants``; ``answers.read`` loads it. Commands on several blueprints take ``BlueprintArguments``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.spec.seeds import seeds_in

_FILE = "FILE[@VARIANT[+VARIANT...]]"
BlueprintArgument = Annotated[
    str,
    typer.Argument(metavar=_FILE, help="A TOML file or the name of a shipped one, perhaps with variants of it."),
]
BlueprintArguments = Annotated[
    list[str],
    typer.Argument(
        metavar=f"{_FILE} [KEY=VALUE | ~KEY ...] ...",
        help="TOML files or names of shipped ones, each perhaps with variants, and with overrides after it.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE | ~KEY ...]", help="Overrides, such as training.env_steps=10_000; ~KEY removes a key."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, last, on standard output.")]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="A variant, as after @ in FILE@VARIANT; repeatable: later ones come after."),
]
Listed = Annotated[
    str | None,
    typer.Option("--variants", help="Comma-separated variants, or combinations a+b; 'base' is the blueprint itself."),
]


def _allow(names: list[str] | None) -> list[str] | None:
    from composer.spec import allowed_modules

    allowed_modules.allow(names or ())
    return names


AllowModule = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-module",
        metavar="NAME",
        callback=_allow,
        help="A module that environment.module may import although no installed distribution declares it; repeatable.",
    ),
]
Beside = Annotated[
    list[str] | None,
    typer.Option(metavar="'FILE KEY=VALUE ...'", help="An experiment that trains in the same program; repeatable."),
]
Absent = Annotated[
    list[int] | None,
    typer.Option(min=0, help="Leave the place of this experiment empty, counted from 0; repeatable."),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="0-3|0,2,5-7", help="Seeds, with ranges that include both ends: all train in one program."),
]


def seeds_override(seeds: str | None) -> list[str]:
    """The override that an option ``--seeds`` stands for, in a list; none without it. Raises SeedsError."""
    return [] if seeds is None else [f"seeds={seeds_in(seeds)}"]


Together = Annotated[
    str | None,
    typer.Option(help="Comma-separated variants, combinations a+b, or 'base', that train in one program."),
]
Name = Annotated[
    str | None, typer.Option(help="Name of the run and of its directory, before the time; the agent keeps its own.")
]
Tags = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag in run.json and in MLflow; repeatable.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Make one update, evaluation and checkpoint, and keep nothing.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
At = Annotated[
    int | None, typer.Option(min=0, help="Environment step of a kept checkpoint; by default the newest good one.")
]
