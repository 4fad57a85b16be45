"""The command that correlates metrics of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.answers import guarded, tell
from composer.cli.arguments import Json, RunPaths


def correlate(
    runs: RunPaths,
    over: Annotated[
        str, typer.Option(help="What varies: 'time' within each seed, 'seeds' of an agent, or 'variants' on a task.")
    ] = "time",
    differences: Annotated[
        bool, typer.Option("--differences", help="Correlate changes from step to step: trends no longer count.")
    ] = False,
    metrics: Annotated[
        list[str] | None, typer.Option(help="Only metrics that match, such as 'diagnostics/*'; repeatable.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the matrix here: .png, .svg or .pdf.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every pair here, a row each.")] = None,
    as_json: Json = False,
) -> None:
    """Correlate every pair of metrics by Spearman's rank correlation.

    Over time, over seeds, or over variants.

    Examples:
        composer correlate runs/quickstart-* --plot correlations.png
        composer correlate runs/* --metrics 'diagnostics/*' --differences
    """
    from composer.studies.correlate import report as study

    tell(guarded(lambda: study.answer(runs, over, differences, metrics or (), plot, csv), as_json), study.text, as_json)
