"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BlueprintPath = Annotated[Path, typer.Argument(metavar="BLUEPRINT", help="A TOML file, or the name of a shipped one.")]
BlueprintPaths = Annotated[
    list[Path], typer.Argument(metavar="BLUEPRINT...", help="TOML files, or names of shipped ones.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="Overrides, such as training.env_steps=10_000.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, last, on standard output.")]
Variant = Annotated[str | None, typer.Option("--variant", help="One of the blueprint's variants.")]
Variants = Annotated[str | None, typer.Option(help="Comma-separated; 'base' is the blueprint itself.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
At = Annotated[
    int | None, typer.Option(min=0, help="Environment step of a kept checkpoint; by default the newest good one.")
]
