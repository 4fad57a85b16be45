"""Commands over finished runs and over the machine: comparisons, the tracking store's page, benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import fail, guarded, read, say, tell
from composer.cli.arguments import BlueprintPath, BlueprintPaths, Json, Overrides, RunPath, Variant, Variants


def bench(
    blueprint: BlueprintPath,
    overrides: Overrides = None,
    variant: Variant = None,
    seeds: Annotated[str, typer.Option(help="Numbers of seeds in one program, comma-separated.")] = "1,2,4",
    seconds: Annotated[
        float, typer.Option(min=0.01, max=600, help="Length of one timed stretch; there are 6 each.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Measure updates per second of a blueprint here: eager, compiled, and with several seeds in one program."""
    found = read(blueprint, list(overrides or ()), variant, as_json).blueprint

    def measure() -> dict[str, Any]:
        from composer.studies.bench import bench, seed_counts

        return bench(found, seed_counts(seeds), seconds, say)

    def text(table: dict[str, Any]) -> str:
        from composer.studies.bench import text

        return text(table)

    tell(guarded(measure, as_json), text, as_json)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories; each may hold several seeds.")],
    metric: Annotated[str, typer.Option(help="What is compared.")] = "evaluation/return",
    plot: Annotated[Path | None, typer.Option(help="Draw learning curves here: a .png or .svg file.")] = None,
    at: Annotated[int | None, typer.Option(min=0, help="Compare here; by default at the last step all share.")] = None,
    threshold: Annotated[list[float] | None, typer.Option(help="Also tell when this was reached; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Compare agents over seeds: means with intervals, differences, and what so few seeds cannot show."""
    from composer.studies.compare import report as command

    tell(guarded(lambda: command.answer(runs, metric, at, threshold or (), plot), as_json), command.text, as_json)


def sweep(
    blueprint: BlueprintPath,
    overrides: Overrides = None,
    variants: Variants = None,
    runs: Annotated[Path, typer.Option(help="Where run directories are made and finished ones are found.")] = Path(
        "runs"
    ),
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")] = 1,
    together: Annotated[
        int, typer.Option(min=1, max=64, help="Variants in one process and program, where they differ in numbers only.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Train a blueprint and all its variants; what is finished is not run again."""
    from composer.blueprint.syntax.extends import named

    def train_all() -> dict[str, Any]:
        from composer.studies.sweep import sweep

        chosen = variants.split(",") if variants else []
        return sweep(named(blueprint), overrides or [], chosen, runs, jobs, say, together)

    def text(table: dict[str, Any]) -> str:
        from composer.studies.sweep import text

        return text(table)

    table = guarded(train_all, as_json)
    tell(table, text, as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def plan(
    blueprint: BlueprintPath,
    overrides: Overrides = None,
    variants: Variants = None,
    runs: Annotated[Path, typer.Option(help="Where finished runs are found.")] = Path("runs"),
    together: Annotated[int, typer.Option(min=1, max=64, help="As a sweep would be told.")] = 1,
    as_json: Json = False,
) -> None:
    """Tell what a sweep would train, and how many programs it would compile; nothing is run."""
    from composer.blueprint.syntax.extends import named

    def look() -> dict[str, Any]:
        from composer.studies.sweep_plan import plan

        return plan(named(blueprint), overrides or [], variants.split(",") if variants else [], runs, together)

    def text(table: dict[str, Any]) -> str:
        from composer.studies.sweep_plan import text

        return text(table)

    tell(guarded(look, as_json), text, as_json)


def retention(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs of task sequences, the plain one first.")],
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy over tasks here: a .png or .svg file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Also write the tables as Markdown here.")] = None,
    as_json: Json = False,
) -> None:
    """Tell whether agents keep learning over a sequence of tasks, and which proxies went with it."""

    def compare() -> dict[str, Any]:
        from composer.studies.retention import report
        from composer.studies.retention.retention import answer

        table, courses = answer(runs)
        if plot is not None:
            report.draw(courses, plot)
        if page is not None:
            page.write_text(report.page(table, [plot.name] if plot else []), encoding="utf-8")
        return table

    def text(table: dict[str, Any]) -> str:
        from composer.studies.retention.report import text

        return text(table)

    tell(guarded(compare, as_json), text, as_json)


def doctor(
    run: RunPath,
    at: Annotated[
        int | None, typer.Option(min=0, help="Environment step of a kept checkpoint; by default the newest good one.")
    ] = None,
    branches: Annotated[
        int | None,
        typer.Option(min=1, max=1_000, help="Continuations of each seed; by default so many as give ten pairs."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Environment steps trained after the fork; by default five evaluations.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Parameters to inject, a glob such as 'critic.head.*'; repeatable. By default the last layers."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of forks, report and picture; by default one beside the run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell whether an agent is losing plasticity: fork it with and without fresh weights, and compare."""

    def diagnose() -> dict[str, Any]:
        from composer.studies.doctor.examine import examine

        return examine(run, at, branches, horizon, where or (), out, say)

    def text(table: dict[str, Any]) -> str:
        from composer.studies.doctor.examine import text

        return text(table)

    tell(guarded(diagnose, as_json), text, as_json)


def simplicity(
    blueprints: BlueprintPaths,
    initialisations: Annotated[
        int, typer.Option("--initialisations", min=1, max=10_000, help="Fresh networks; about half a second each.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """Measure how simple the functions of a blueprint's networks are before training, as SimBa's paper does."""
    found = [read(path, [], None, as_json).blueprint for path in blueprints]

    def measure() -> dict[str, Any]:
        from composer.studies.simplicity import answer

        return answer(found, initialisations)

    def text(table: dict[str, Any]) -> str:
        from composer.studies.simplicity import text

        return text(table)

    tell(guarded(measure, as_json), text, as_json)


def tabular(
    name: Annotated[str, typer.Argument(help="quantile-td, categorical-td or categorical-fixed-point.")],
    chain: Annotated[
        str | None, typer.Option(help="two-state, loop, walk or garnet; by default one that suits the experiment.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Independent runs.")] = 10,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves here: a .png or .svg file.")] = None,
    as_json: Json = False,
) -> None:
    """Measure what distributional learning does on a small Markov chain whose exact values are known."""
    from composer.studies import Refused
    from composer.studies.tabular import experiments, report

    try:
        table = experiments.answer(name, chain, seeds, plot)
    except Refused as error:
        fail(str(error), 2, as_json)
    tell(table, report.text, as_json)


def ui(
    runs: Annotated[Path, typer.Option(help="The runs directory whose tracking store is shown.")] = Path("runs"),
    experiment: Annotated[str, typer.Option(help="The MLflow experiment to open.")] = "composer",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 5000,
) -> None:
    """Open the tracking store in MLflow's page, on this machine only."""
    from composer.tracking.base import MlflowTracker
    from composer.tracking.ui import ServerError, serve

    try:
        raise typer.Exit(serve(MlflowTracker().destination(runs), experiment, port, say))
    except (ServerError, ValueError) as error:
        fail(str(error), 3, False)
