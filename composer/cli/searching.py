"""The command that searches values of a blueprint's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import guarded, read_study, say, tell
from composer.cli.arguments import AllowModule, Json, StudyFile
from composer.cli.studies import Jobs, Out, Ray, Runs, Slurm


def search(
    file: StudyFile,
    confirm: Annotated[
        int | None, typer.Option(min=1, max=64, help="Train the best trials again, with so many fresh seeds each.")
    ] = None,
    best: Annotated[int, typer.Option(min=1, max=100, help="How many of the best trials to confirm.")] = 3,
    jobs: Jobs = None,
    slurm: Slurm = None,
    ray: Ray = None,
    runs: Runs = Path("runs"),
    out: Out = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Search values of a blueprint's keys, and confirm the best.

    The spaces are in the table [search] of a study. The same command goes on where it was stopped.

    Examples:
        composer search search.toml --jobs 2
        composer search search.toml --confirm 5
    """
    found = read_study(file, as_json, is_to_run=True)
    from composer.studies.execution.launchers import launching
    from composer.studies.execution.study_run import folder_of
    from composer.studies.search import command, report

    def train() -> dict[str, Any]:
        with launching(folder_of(found, runs, out), jobs or 1, slurm, ray, found.tree) as launcher:
            return command.run_search(found, runs, out, say, launcher, confirm, best)

    table = guarded(train, as_json)
    tell(table, report.text, as_json)
    raise typer.Exit(1 if table["failed"] else 0)
