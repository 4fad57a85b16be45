"""Commands that run an agent, or go on with what a run has left: they import torch, and only when called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import answer, fail, guarded, read, say
from composer.cli.arguments import BlueprintPath, Json, Overrides, RunPath, Variant


def train(
    blueprint: BlueprintPath,
    overrides: Overrides = None,
    variant: Variant = None,
    seeds: Annotated[
        str | None, typer.Option(help="Comma-separated seeds, such as 0,1,2: all train in one program.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run directories are made.")] = Path("runs"),
    profile: Annotated[bool, typer.Option("--profile", help="Tell at the end where the time went.")] = False,
    together: Annotated[
        str | None,
        typer.Option(help="Comma-separated variants, 'base' among them, that train beside each other in one program."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a blueprint in a new run directory."""
    changes = list(overrides or ())
    changes += [f"seeds=[{seeds}]"] if seeds is not None else []
    changes += [f"compute.device={device}"] if device is not None else []
    if together is not None:
        if variant is not None or profile:
            fail("--together takes neither --variant nor --profile", 2, as_json)
        _train_together(blueprint, changes, together.split(","), runs, as_json)
        return
    loaded = read(blueprint, changes, variant, as_json, is_to_run=True)

    def run() -> dict[str, Any]:
        from composer import api

        return dict(api.train(loaded.blueprint, runs, variant=variant, quiet=False, profile=profile).table)

    _finish(guarded(run, as_json), as_json)


def _train_together(path: Path, changes: list[str], names: list[str], runs: Path, as_json: bool) -> None:
    from composer.blueprint.syntax.extends import named

    def run() -> dict[str, Any]:
        from composer.studies.sweep import for_one_program
        from composer.training import assemble, launch

        opened, stack = assemble.start_together(for_one_program(named(path), changes, names), runs)
        return launch.train_together_to_end(opened, stack, quiet=False)

    table = guarded(run, as_json)
    for row in table["runs"]:
        told = f"return {row['final_return']:.1f}" if row["status"] == "finished" else row["message"]
        say(f"{row['variant']}: {told}; everything of the run is in {row['run']}")
    answer(table, as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def resume(
    run: RunPath,
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Go on although versions, threads or device have changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on with a run from its newest checkpoint, exactly."""

    def go_on() -> dict[str, Any]:
        from composer.training import launch

        return dict(launch.resume(run, inexact, quiet=False).table)

    _finish(guarded(go_on, as_json), as_json)


def fork(
    run: RunPath,
    overrides: Overrides = None,
    at: Annotated[
        int | None, typer.Option(min=0, help="Environment step of a kept checkpoint; by default the newest good one.")
    ] = None,
    branch: Annotated[
        int,
        typer.Option(min=0, max=2**31, help="Draw what follows from other random streams; 0 goes on with the run's."),
    ] = 0,
    runs: Annotated[
        Path | None, typer.Option(help="Where the new run directory is made; by default beside the run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go on from a checkpoint of a run under changed keys, as a new run."""

    def go_on() -> dict[str, Any]:
        from composer.training import launch

        return dict(launch.fork(run, overrides or (), at, branch, runs or run.parent, quiet=False).table)

    _finish(guarded(go_on, as_json), as_json)


def evaluate(
    run: RunPath,
    episodes: Annotated[int, typer.Option(min=1, max=10_000, help="Fresh episodes a seed.")] = 10,
    video: Annotated[Path | None, typer.Option(help="Write the first episode as a film, such as out.mp4.")] = None,
    as_json: Json = False,
) -> None:
    """Play fresh episodes with the newest checkpoint of a run."""

    def play() -> dict[str, Any]:
        from composer.training import launch

        return launch.evaluate(run, episodes, video)

    table = guarded(play, as_json)
    for seed, value in table["returns"].items():
        say(f"seed {seed}: return {value:.1f} over {episodes} episodes")
    say(
        f"mean return {table['return']:.1f} at environment step {table['env_steps']:,}"
        + (f"; film: {video}" if video else "")
    )
    answer(table, as_json)


def digest(run: RunPath, as_json: Json = False) -> None:
    """Print the hash of the whole state in the newest checkpoint of a run."""

    def hash_state() -> dict[str, Any]:
        from composer.training import launch

        return launch.digest(run)

    table = guarded(hash_state, as_json)
    print(json.dumps(table) if as_json else table["digest"])


def sync(run: RunPath) -> None:
    """Send what a run's journal holds and its tracking store has not got."""

    def send() -> dict[str, Any]:
        from composer.training import launch

        report = launch.sync(run)
        return {"message": report.message, "pending": report.pending}

    table = guarded(send, False)
    say(table["message"])
    raise typer.Exit(3 if table["pending"] else 0)


def _finish(table: dict[str, Any], as_json: bool) -> None:
    returns = ", ".join(f"{seed}: {value:.1f}" for seed, value in table["returns"].items())
    say(
        f"return {table['final_return']:.1f} (by seed {returns}) after {table['env_steps']:,} environment steps, "
        f"{table['seconds']:.0f} s"
    )
    say(f"everything of the run is in {table['run']}")
    for note in table.pop("notes"):
        say(note)
    answer(table, as_json)
