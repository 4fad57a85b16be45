"""The command that ablates a blueprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import guarded, say, tell
from composer.cli.arguments import AllowModule, BlueprintArgument, Json, Overrides, Variants


def ablate(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Seeds of every arm, from 0 on.")] = 10,
    suite: Annotated[str | None, typer.Option(help="A set of tasks of registry/suites.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Tasks as the environment names them, comma-separated.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="COMPONENT", help="Components by key, by a table around it, or by kind; repeatable."),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="COMPONENT", help="Components left in; repeatable.")] = None,
    add: Annotated[bool, typer.Option("--add", help="Also add each component alone to the bare agent.")] = False,
    margin: Annotated[
        float | None,
        typer.Option(min=0, help="Size of an effect that counts as none; by default 5 % of the scores' range."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Directory of runs; finished ones are not repeated.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of tables and pictures.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")] = 1,
    plan: Annotated[bool, typer.Option("--plan", help="Only show the arms and their commands.")] = False,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Measure what each component of an agent adds: without it, and alone, over paired seeds."""
    from composer.blueprint.syntax.notation import experiment
    from composer.studies import Refused
    from composer.studies.ablation import ablate as study
    from composer.studies.ablation import report
    from composer.studies.ablation.arms import arms, suite_tasks

    def chosen_tasks() -> list[str]:
        if suite is not None and tasks is not None:
            raise Refused("give --suite or --tasks, not both")
        names = suite_tasks(suite) if suite is not None else (tasks or "").split(",")
        return [name.strip() for name in names if name]

    def look_ahead() -> dict[str, Any]:
        chosen = experiment(blueprint, overrides or (), variant or ())
        return study.plan(arms(chosen, range(seeds), chosen_tasks(), only or (), skip or (), add))

    def measure() -> dict[str, Any]:
        which = blueprint, overrides or (), variant or (), seeds, chosen_tasks(), only or (), skip or (), add
        return study.ablate(*which, margin, runs, out, jobs, say)

    tell(guarded(look_ahead if plan else measure, as_json), report.plan_text if plan else report.text, as_json)
