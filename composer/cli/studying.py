"""Commands that study blueprints, finished runs and this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from composer.cli.answers import fail, guarded, read, read_all, say, tell
from composer.cli.arguments import (
    AllowModule,
    At,
    BlueprintArgument,
    Branches,
    DoctorFolder,
    Examined,
    FewBlueprints,
    Horizon,
    Injected,
    Json,
    Listed,
    ObservationFile,
    Overrides,
    PlayedEnvironment,
    Seeds,
    Variants,
    seeds_override,
)
from composer.cli.completion import arguments as complete
from composer.spec.errors import ComposerError


def bench(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    seeds: Annotated[str, typer.Option(help="Numbers of seeds in one program, comma-separated.")] = "1,2,4",
    seconds: Annotated[float, typer.Option(min=0.01, max=600, help="Length of a lap; each update runs six.")] = 1.0,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Measure updates per second of a blueprint on this machine.

    Eager, compiled, and with several seeds in one program.

    Examples:
        composer bench quickstart --seeds 1,4 --seconds 0.5
    """
    found = read(blueprint, overrides, variant, as_json).blueprint
    from composer.studies import bench as study

    table = guarded(lambda: study.bench(found, study.seed_counts(seeds), seconds, say), as_json)
    tell(table, study.text, as_json)


def sweep(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    variants: Listed = None,
    runs: Annotated[
        Path, typer.Option(help="Directory of new runs, and of earlier ones that are not repeated.")
    ] = Path("runs"),
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")] = 1,
    together: Annotated[
        int, typer.Option(min=1, max=64, help="Variants per process and program, where they differ in numbers only.")
    ] = 1,
    seeds: Seeds = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Train a blueprint and its variants, or the chosen ones.

    Those that were finished before are not repeated.

    Examples:
        composer sweep dmc/sac_simba --variants base,small --seeds 0-2
    """
    changes = [*(overrides or ()), *seeds_override(seeds)]
    from composer.blueprint.syntax.notation import selection
    from composer.studies import sweep as study

    def train_all() -> dict[str, Any]:
        return study.sweep(*selection(blueprint, changes, variant or (), variants), runs, jobs, say, together)

    table = guarded(train_all, as_json)
    tell(table, study.text, as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def plan(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    variants: Listed = None,
    runs: Annotated[Path, typer.Option(help="Directory of earlier runs.")] = Path("runs"),
    together: Annotated[int, typer.Option(min=1, max=64, help="Variants per process, as for a sweep.")] = 1,
    as_json: Json = False,
) -> None:
    """Show what a sweep would train and compile; nothing runs.

    Examples:
        composer plan dmc/sac_simba --variants base,small
    """
    from composer.blueprint.syntax.notation import selection
    from composer.studies import sweep_plan as study

    def look_ahead() -> dict[str, Any]:
        return study.plan(*selection(blueprint, overrides or (), variant or (), variants), runs, together)

    tell(guarded(look_ahead, as_json), study.text, as_json)


def retention(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Runs of task sequences, the plain one first.", autocompletion=complete.run
        ),
    ],
    plot: Annotated[Path | None, typer.Option(help="Draw accuracy over tasks here: a .png, .svg or .pdf file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Also write the tables as Markdown here.")] = None,
    as_json: Json = False,
) -> None:
    """Show whether agents keep learning over a sequence of tasks.

    Also which diagnostics correlate with it.

    Examples:
        composer retention runs/shuffled-labels-* --plot retention.svg
    """
    from composer.studies.retention import report as study

    tell(guarded(lambda: study.answer(runs, plot, page), as_json), study.text, as_json)


def doctor(
    run: Examined,
    at: At = None,
    branches: Branches = None,
    horizon: Horizon = None,
    where: Injected = None,
    out: DoctorFolder = None,
    observations: ObservationFile = None,
    environment: PlayedEnvironment = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Test whether an agent is losing plasticity.

    It is forked with and without fresh weights, and the forks are compared. An agent of another library is measured on
    observations; nothing in its file is unpickled.

    Examples:
        composer doctor runs/quickstart-* --branches 5
        composer doctor dqn_cartpole.zip --environment CartPole-v1
    """
    if run.is_file():
        if at is not None or horizon is not None:
            fail("--at and --horizon are for run directories: a file of weights is one moment", 2, as_json)
        from composer.studies.doctor.agents import examine as agents

        seen = observations, environment
        told = guarded(lambda: agents.examine(run, seen, branches, where or (), out, say), as_json)
        tell(told, agents.text, as_json)
        return
    if observations is not None or environment is not None:
        fail(f"--observations and --environment are for files of other libraries; {run} is no file", 2, as_json)
    from composer.studies.doctor import examine as study

    table = guarded(lambda: study.examine(run, at, branches, horizon, where or (), out, say), as_json)
    tell(table, study.text, as_json)


def simplicity(
    blueprints: FewBlueprints = None,
    measure: Annotated[
        Literal["fourier", "polynomial", "lempel_ziv"],
        typer.Option(
            help="Frequencies; orders of Chebyshev polynomials; phrases of the discretised output.",
            autocompletion=complete.one_of("fourier", "polynomial", "lempel_ziv"),
        ),
    ] = "fourier",
    redshift: Annotated[
        bool, typer.Option("--redshift", help="MLPs with random weights: over their size, depth and activation.")
    ] = False,
    initialisations: Annotated[
        int | None,
        typer.Option(
            "--initialisations",
            min=1,
            max=10_000,
            help="Fresh networks: 100, about half a second each; 10 of each combination with --redshift.",
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the scores here: a .png, .svg or .pdf file.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the simplicity bias of networks at initialisation.

    Of blueprints as SimBa's paper does, or of MLPs with random weights as Neural Redshift does.

    Examples:
        composer simplicity dmc/sac_mlp dmc/sac_simba --initialisations 20
        composer simplicity dmc/sac_mlp dmc/sac_simba --plot simplicity.png
        composer simplicity --redshift --measure polynomial --plot redshift.png
    """
    if redshift == bool(blueprints):
        fail("name blueprints, or --redshift for MLPs with random weights, and not both", 2, as_json)
    found = {each.title: each.blueprint for each in read_all(blueprints or [], as_json)}
    from composer.studies.simplicity import command

    table = guarded(lambda: command.answer(found, measure, initialisations, plot), as_json)
    tell(table, command.text, as_json)


def tabular(
    name: Annotated[
        str,
        typer.Argument(
            help="quantile-td, quantile-grid, categorical-td, categorical-fixed-point, random-cdf, sample-size, "
            "td-path or interference.",
            autocompletion=complete.one_of(
                *("quantile-td", "quantile-grid", "categorical-td", "categorical-fixed-point"),
                *("random-cdf", "sample-size", "td-path", "interference"),
            ),
        ),
    ],
    chain: Annotated[
        str | None, typer.Option(help="two-state, loop, walk or garnet; by default one that suits the experiment.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Independent runs.")] = 10,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves here: a .png, .svg or .pdf file.")] = None,
    as_json: Json = False,
) -> None:
    """Measure distributional learning rules on a Markov chain.

    It is small, and its exact values are known.

    Examples:
        composer tabular quantile-td --chain loop --plot curves.png
    """
    from composer.studies.tabular import experiments, report

    try:
        table = experiments.answer(name, chain, seeds, plot)
    except ComposerError as error:
        fail(str(error), error.exit_code, as_json)
    tell(table, report.text, as_json)


def ui(
    runs: Annotated[Path, typer.Option(help="The runs directory whose tracking store is shown.")] = Path("runs"),
    experiment: Annotated[
        str | None, typer.Option(help="The MLflow experiment to open; by default that of the newest run.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Open the view of the runs of this study.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 5000,
    opens: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, where there is a screen.")
    ] = True,
) -> None:
    """Compare agents in MLflow's web page, on this machine.

    Result with interval, area, best.

    Examples:
        composer ui
        composer ui --study simba_ladder --port 5001
    """
    from composer.tracking.experiment import experiment_in, opening
    from composer.tracking.mlflow_tracker import MlflowTracker
    from composer.tracking.ui import browser, serve

    shown = browser() if opens else None
    try:
        if experiment is None and study is None and (found := opening(runs)) is not None:
            say(f"the newest run is not in MLflow: {found}")
            raise typer.Exit
        destination, name = MlflowTracker().destination(runs), experiment or experiment_in(runs)
        raise typer.Exit(serve(destination, name, port, say, study=study, show=shown))
    except ComposerError as error:
        fail(str(error), error.exit_code, False)
