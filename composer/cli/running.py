"""Commands that train an agent or use a run directory. They import torch only when they are called."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from composer.cli.answers import answer, fail, guarded, read, say, tell
from composer.cli.arguments import (
    Absent,
    AllowModule,
    At,
    Beside,
    BlueprintArgument,
    Device,
    DryRun,
    Json,
    Name,
    Overrides,
    RunOverrides,
    RunPath,
    Seeds,
    Tags,
    Together,
    Variants,
    seeds_override,
)
from composer.spec.stages import telling

if TYPE_CHECKING:
    from composer.blueprint import Blueprint


def train(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    seeds: Seeds = None,
    device: Device = None,
    runs: Annotated[Path, typer.Option(help="Directory in which the run directory is made.")] = Path("runs"),
    profile: Annotated[bool, typer.Option("--profile", help="Show at the end how the time was spent.")] = False,
    together: Together = None,
    name: Name = None,
    tag: Tags = None,
    dry_run: DryRun = False,
    beside: Beside = None,
    absent: Absent = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Train a blueprint in a new run directory.

    Examples:
        composer train quickstart
        composer train dmc/sac_simba@small --seeds 0-3 environment.task=walker-walk
        composer train quickstart --dry-run
    """
    changes = [*(overrides or ()), *seeds_override(seeds)]
    changes += [f"compute.device={device}"] if device is not None else []
    if (together is not None or beside) and (profile or name or tag or dry_run):
        fail("--together and --beside take no --profile, --name, --tag or --dry-run", 2, as_json)
    with telling() as stages:
        stages.begin(f"reading {blueprint}")
        if together is not None:
            _train_together(blueprint, changes, variant, together, runs, as_json)
        loaded = read(blueprint, changes, variant, as_json, is_to_run=True).blueprint
        if beside:
            _train_beside(loaded, beside, absent or (), runs, as_json)
        stages.line(_first_line(loaded))
        if dry_run:
            _try_out(loaded, as_json)
            return
        _finish(guarded(lambda: _trained(loaded, runs, profile, name, tag or ()), as_json), as_json)


def _first_line(blueprint: Blueprint) -> str:
    from composer.blueprint.inspect.headline import headline

    return headline(blueprint)


def _trained(blueprint: Blueprint, runs: Path, profile: bool, name: str | None, tags: Sequence[str]) -> dict[str, Any]:
    from composer import api
    from composer.training.runs.labels import tags_in

    return dict(api.train(blueprint, runs, quiet=False, profile=profile, name=name, tags=tags_in(tags)).table)


def _try_out(blueprint: Blueprint, as_json: bool) -> None:
    def run() -> dict[str, Any]:
        from composer.training.assemble.dry_run import dry_run

        return dry_run(blueprint, say)

    table = guarded(run, as_json)
    say("all of it works: nothing was kept")
    answer(table, as_json)


def _train_together(
    file: str, changes: list[str], variants: list[str] | None, together: str, runs: Path, as_json: bool
) -> NoReturn:
    from composer.blueprint.syntax.notation import selection
    from composer.studies.sweep import for_one_program
    from composer.training import assemble, launch

    def run() -> dict[str, Any]:
        members = for_one_program(*selection(file, changes, variants or (), together))
        return launch.train_together_to_end(assemble.start_together(members, runs), quiet=False)

    _finish_together(guarded(run, as_json), as_json)


def _train_beside(first: Blueprint, others: list[str], absent: Sequence[int], runs: Path, as_json: bool) -> NoReturn:
    from composer.studies.sweep import ensure_one_program
    from composer.training import assemble, launch

    found = [first]
    for text in others:
        file, *overrides = shlex.split(text)
        found.append(read(file, overrides, None, as_json, is_to_run=True).blueprint)

    def run() -> dict[str, Any]:
        named = {f"{place}": each for place, each in enumerate(found)}
        ensure_one_program(named)
        members = [
            assemble.NewRun(name, each, each.derived.get("variant"), int(name) in absent)
            for name, each in named.items()
        ]
        return launch.train_together_to_end(assemble.start_together(members, runs), quiet=False)

    _finish_together(guarded(run, as_json), as_json)


def _finish_together(table: dict[str, Any], as_json: bool) -> NoReturn:
    for row in table["runs"]:
        result = "" if row["status"] == "finished" else f"{row['message']}; "
        say(f"{row['variant']}: {result}everything of the run is in {row['run']}")
    answer(table, as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def resume(
    run: RunPath,
    inexact: Annotated[
        bool,
        typer.Option(
            "--inexact",
            help="Continue although versions, threads or device have changed, and by itself.",
        ),
    ] = False,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Continue a run exactly from its newest checkpoint.

    So do the runs that train in the same program.

    Examples:
        composer resume runs/quickstart-*
    """
    with telling():
        table = guarded(lambda: _continued(run, inexact), as_json)
    (_finish_together if "runs" in table else _finish)(table, as_json)


def _continued(run: Path, inexact: bool) -> dict[str, Any]:
    from composer.training import launch

    return launch.continued(run, inexact)


def fork(
    run: RunPath,
    overrides: RunOverrides = None,
    at: At = None,
    branch: Annotated[
        int, typer.Option(min=0, max=2**31, help="Draw from other random streams, numbered by this; 0 keeps the run's.")
    ] = 0,
    runs: Annotated[
        Path | None, typer.Option(help="Directory of the new run directory; by default next to the run.")
    ] = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Continue a run's checkpoint with changed keys, as a new run.

    Examples:
        composer fork runs/quickstart-* training.env_steps=120_000
    """

    def go_on() -> dict[str, Any]:
        from composer.training import launch

        return dict(launch.fork(run, overrides or (), at, branch, runs or run.parent, quiet=False).table)

    with telling():
        _finish(guarded(go_on, as_json), as_json)


def evaluate(
    run: RunPath,
    episodes: Annotated[int, typer.Option(min=1, max=10_000, help="New episodes per seed.")] = 10,
    video: Annotated[Path | None, typer.Option(help="Write a video of the first episode, such as out.mp4.")] = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Play new episodes with the newest checkpoint of a run.

    Examples:
        composer evaluate runs/quickstart-* --episodes 20 --video episode.mp4
    """

    def play() -> dict[str, Any]:
        from composer.training import launch

        return launch.evaluate(run, episodes, video)

    with telling():
        table = guarded(play, as_json)
    _say_damaged(table)
    for line in (*table.pop("lines"), *table["notes"]):
        say(line)
    if video:
        say(f"video: {video}")
    answer(table, as_json)


def digest(run: RunPath, as_json: Json = False) -> None:
    """Print the hash of the state in a run's newest checkpoint.

    Examples:
        composer digest runs/quickstart-*
    """
    from composer.training import launch

    table = guarded(lambda: launch.digest(run), as_json)
    _say_damaged(table)
    print(json.dumps(table) if as_json else table["digest"])


def verify(run: RunPath, as_json: Json = False) -> None:
    """Check every file of a run against the hashes in the run.

    Examples:
        composer verify runs/quickstart-*
    """
    from composer.training.runs import verify as verifying

    table = guarded(lambda: verifying.verify(run), as_json)
    tell(table, verifying.text, as_json)
    raise typer.Exit(table["exit_code"])


def sync(
    run: RunPath,
    to: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Send it to this kind of tracker instead: csv, parquet, mlflow, ..."),
    ] = None,
) -> None:
    """Send the rows of a run's journal that its store lacks.

    Examples:
        composer sync runs/quickstart-*
    """
    from composer.training import launch

    table = guarded(lambda: vars(launch.sync(run, to)), False)
    say(table["message"])
    if table["opening"]:
        say(table["opening"])
    raise typer.Exit(0 if table["is_complete"] else 3)


def _say_damaged(table: dict[str, Any]) -> None:
    """Say which newer checkpoints are damaged, and which one was used instead."""
    for damage in table["damaged"]:
        say(f"damaged: {damage}")
    if table["damaged"]:
        say(f"used instead: {table['checkpoint']}")


def _finish(table: dict[str, Any], as_json: bool) -> None:
    say(f"everything of the run is in {table['run']}")
    for note in table.pop("notes"):
        say(note)
    answer(table, as_json)
