"""The command line: arguments only. Heavy imports stand inside the commands, so that reading a blueprint stays fast.

Exit codes: 0 done; 2 the blueprint or the command is wrong; 3 the run directory is unusable or locked; 4 a checkpoint
is damaged; 5 diverged; 6 the environment failed; 7 resources; 130 or 143 interrupted, checkpoint written; 1 a bug.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from composer import __version__

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compose deep-RL agents in one file and train them.",
)

Blueprint_ = Annotated[Path, typer.Argument(metavar="BLUEPRINT", help="A TOML file, or the name of a shipped one.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="Overrides, such as training.env_steps=10_000.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, last, on standard output.")]
Variant = Annotated[str | None, typer.Option("--variant", help="One of the blueprint's [variants].")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


@app.command()
def train(
    blueprint: Blueprint_,
    overrides: Overrides = None,
    variant: Variant = None,
    seeds: Annotated[
        str | None, typer.Option(help="Comma-separated seeds, such as 0,1,2: all train in one program.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run directories are made.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train a blueprint in a new run directory."""
    changes = list(overrides or ())
    changes += [f"seeds=[{seeds}]"] if seeds is not None else []
    changes += [f"compute.device={device}"] if device is not None else []
    loaded = _load(blueprint, changes, variant, as_json)

    def run() -> dict[str, Any]:
        from composer import launch

        return launch.start(loaded.blueprint, runs, variant, quiet=False)

    _finish(_guarded(run, as_json), as_json)


@app.command()
def resume(
    run: RunPath,
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Go on although versions, threads or device have changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on with a run from its newest checkpoint, exactly."""

    def go_on() -> dict[str, Any]:
        from composer import launch

        return launch.resume(run, inexact, quiet=False)

    _finish(_guarded(go_on, as_json), as_json)


@app.command()
def evaluate(
    run: RunPath,
    episodes: Annotated[int, typer.Option(min=1, max=10_000, help="Fresh episodes a seed.")] = 10,
    video: Annotated[Path | None, typer.Option(help="Write the first episode as a film, such as out.mp4.")] = None,
    as_json: Json = False,
) -> None:
    """Play fresh episodes with the newest checkpoint of a run."""

    def play() -> dict[str, Any]:
        from composer import launch

        return launch.evaluate(run, episodes, video)

    table = _guarded(play, as_json)
    for seed, value in table["returns"].items():
        _say(f"seed {seed}: return {value:.1f} over {episodes} episodes")
    _say(
        f"mean return {table['return']:.1f} at environment step {table['env_steps']:,}"
        + (f"; film: {video}" if video else "")
    )
    _answer(table, as_json)


@app.command()
def digest(run: RunPath, as_json: Json = False) -> None:
    """Print the hash of the whole state in the newest checkpoint of a run."""

    def hash_state() -> dict[str, Any]:
        from composer import launch

        return launch.digest(run)

    table = _guarded(hash_state, as_json)
    print(json.dumps(table) if as_json else table["digest"])


@app.command()
def sync(run: RunPath) -> None:
    """Send what a run's journal holds and its tracking store has not got."""

    def send() -> dict[str, Any]:
        from composer import launch

        report = launch.sync(run)
        return {"message": report.message, "pending": report.pending}

    table = _guarded(send, False)
    _say(table["message"])
    raise typer.Exit(3 if table["pending"] else 0)


@app.command()
def check(blueprints: Annotated[list[Path], typer.Argument(metavar="BLUEPRINT...")], as_json: Json = False) -> None:
    """Say everything that is wrong with blueprints, each problem at its line."""
    from composer.blueprint import commands
    from composer.blueprint.chain import named

    problems = commands.check_files([named(path) for path in blueprints])
    if as_json:
        print(json.dumps(commands.check_json(problems)))
    elif problems:
        print(commands.check_text(problems))
    else:
        _say(f"{len(blueprints)} blueprint{'s' if len(blueprints) > 1 else ''} in order")
    raise typer.Exit(2 if problems else 0)


@app.command()
def show(blueprint: Blueprint_, overrides: Overrides = None, variant: Variant = None, as_json: Json = False) -> None:
    """Show what a blueprint amounts to: networks, shapes, parameters, memory."""
    from composer.blueprint import show as shown

    loaded = _load(blueprint, list(overrides or ()), variant, as_json)
    print(json.dumps(shown.show_json(loaded.blueprint)) if as_json else shown.show_text(loaded.blueprint))


@app.command()
def diff(left: Path, right: Path, as_json: Json = False) -> None:
    """Compare two blueprints key by key, after all parents, parts and references."""
    from composer.blueprint import commands

    ours, theirs = (_load(path, [], None, as_json).blueprint for path in (left, right))
    print(json.dumps(commands.diff_json(ours, theirs)) if as_json else commands.diff_text(ours, theirs))


@app.command()
def parts(name: Annotated[str | None, typer.Argument()] = None, as_json: Json = False) -> None:
    """List the named parts of the registry, or show one."""
    from composer.blueprint import commands

    try:
        print(json.dumps(commands.parts_json(name)) if as_json else commands.parts_text(name))
    except commands.UnknownPartError as error:
        _fail(str(error), 2, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the blueprint language, for editors."""
    from composer.blueprint.json_schema import schema_json

    print(json.dumps(schema_json(), indent=1))


@app.command()
def ui(
    runs: Annotated[Path, typer.Option(help="The runs directory whose tracking store is shown.")] = Path("runs"),
    experiment: Annotated[str, typer.Option(help="The MLflow experiment to open.")] = "composer",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 5000,
) -> None:
    """Open the tracking store in MLflow's page, on this machine only."""
    from composer.tracking.base import MlflowTracker
    from composer.tracking.ui import ServerError, serve

    try:
        raise typer.Exit(serve(MlflowTracker().destination(runs), experiment, port, _say))
    except (ServerError, ValueError) as error:
        _fail(str(error), 3, False)


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(min=0.01, max=600, help="Length of one timed stretch.")] = 5.0,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Timed stretches of each party, taken in turns.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Also write the result as JSON here.")] = None,
    as_json: Json = False,
) -> None:
    """Measure learner updates a second, side by side with stable-baselines3 where it is installed."""
    from composer.study.bench import command, report

    _show(_guarded(lambda: command.bench(seconds, repeats, _say, out), as_json), report.text, as_json)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories; each may hold several seeds.")],
    metric: Annotated[str, typer.Option(help="What is compared.")] = "evaluation/return",
    plot: Annotated[Path | None, typer.Option(help="Draw learning curves here: a .png or .svg file.")] = None,
    at: Annotated[int | None, typer.Option(min=0, help="Compare here; by default at the last step all share.")] = None,
    threshold: Annotated[list[float] | None, typer.Option(help="Also tell when this was reached; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Compare agents over seeds: means with intervals, differences, and what so few seeds cannot show."""
    from composer.study import compare_command as command

    _show(_guarded(lambda: command.answer(runs, metric, at, threshold or (), plot), as_json), command.text, as_json)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the ``composer`` command."""
    app()


def _load(path: Path, overrides: list[str], variant: str | None, as_json: bool) -> Any:
    from composer.blueprint import BlueprintError, commands, load
    from composer.blueprint.chain import named

    try:
        return load(named(path), overrides, variant)
    except BlueprintError as error:
        print(commands.check_text(error.problems), file=sys.stderr)
        if as_json:
            print(json.dumps({"status": "invalid", **commands.check_json(error.problems)}))
        raise typer.Exit(2) from None


def _guarded(command: Callable[[], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    """Run a command that imports torch; every expected failure becomes a line and its exit code."""
    from composer import launch
    from composer.blueprint import BlueprintError
    from composer.study.refusal import Refused

    try:
        return command()
    except launch.Stopped as stopped:
        _fail(str(stopped), stopped.exit_code, as_json, stopped.table)
    except (BlueprintError, Refused) as error:
        _fail(str(error), 2, as_json)
    except tuple(launch.EXIT_CODES) as error:
        _fail(str(error) or type(error).__name__, launch.exit_code(error), as_json)


def _finish(table: dict[str, Any], as_json: bool) -> None:
    returns = ", ".join(f"{seed}: {value:.1f}" for seed, value in table["returns"].items())
    _say(
        f"return {table['final_return']:.1f} (by seed {returns}) after {table['env_steps']:,} environment steps, "
        f"{table['seconds']:.0f} s"
    )
    _say(f"everything of the run is in {table['run']}")
    for note in table.pop("notes"):
        _say(note)
    _answer(table, as_json)


def _show(table: dict[str, Any], text: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    (_say if as_json else print)(text(table))
    _answer(table, as_json)


def _answer(table: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(table))


def _fail(message: str, code: int, as_json: bool, table: dict[str, Any] | None = None) -> NoReturn:
    _say(message)
    _answer((table or {"status": "failed"}) | {"exit_code": code, "message": message}, as_json)
    raise typer.Exit(code)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
