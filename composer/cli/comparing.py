"""The command that compares finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import guarded, tell
from composer.cli.arguments import Json, RunPaths

Figures = Annotated[
    list[str] | None,
    typer.Option(
        help="curves, aggregates, profile, efficiency, improvement, scatter or heat; repeatable. By default curves,"
        " and in a page all that fit."
    ),
]
Abscissa = Annotated[
    str | None,
    typer.Option("--x", help="Scatter against parameters, operations, updates, seconds, or a setting's key."),
]
Rows = Annotated[
    str | None, typer.Option(help="Rows of a heat map: a setting's key, a study's axis, name, variant or task.")
]
Step = Annotated[int | None, typer.Option(min=0, help="Environment step; by default the last one that all seeds have.")]
Constants = Annotated[
    str, typer.Option(help="Scores that count as 0 and 1: auto, none, or a table of registry/references.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(help="GLOB=NAME of runs, or a name for each agent in the order of the runs; repeatable."),
]
Published = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Published results: simba-2025, simba-2025:sac,td7, simba-2025:all."),
]


def compare(
    runs: RunPaths,
    metric: Annotated[
        str | None, typer.Option(help="The metric to compare; by default that of the evaluation: return, or accuracy.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw figures here: .png, .svg, .pdf, or .html with the tables as well.")
    ] = None,
    figure: Figures = None,
    x: Abscissa = None,
    rows: Rows = None,
    columns: Annotated[str | None, typer.Option(help="Columns of a heat map.")] = None,
    at: Step = None,
    threshold: Annotated[
        list[float] | None, typer.Option(help="Also show when seeds reached this value; repeatable.")
    ] = None,
    normalize: Constants = "auto",
    label: Labels = None,
    against: Published = None,
    csv: Annotated[Path | None, typer.Option(help="Write every number here, one a row.")] = None,
    as_json: Json = False,
) -> None:
    """Compare agents over seeds: means, intervals, differences.

    Also what the data decide, and how many seeds would decide the rest.

    Examples:
        composer compare runs/quickstart-*
        composer compare runs/* --plot report.html --csv numbers.csv
    """
    from composer.studies.compare import command, report
    from composer.studies.figures.draw import Wanted

    def answer() -> dict[str, Any]:
        wanted = Wanted(tuple(figure or ()), x, rows, columns)
        return command.answer(runs, metric, at, threshold or (), plot, wanted, normalize, label or (), against, csv)

    tell(guarded(answer, as_json), report.text, as_json)
