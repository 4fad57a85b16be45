"""The command that ablates a blueprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import guarded, say, tell
from composer.cli.arguments import AllowModule, BlueprintArgument, Json, Overrides, Variants

Seeds = Annotated[int, typer.Option(min=1, max=64, help="Seeds of every arm, from 0 on.")]
Suite = Annotated[str | None, typer.Option(help="A set of tasks of registry/suites.")]
Tasks = Annotated[str | None, typer.Option(help="Tasks as the environment names them, comma-separated.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="COMPONENT", help="Components by key, by a table around it, or by kind; repeatable."),
]
Skip = Annotated[list[str] | None, typer.Option(metavar="COMPONENT", help="Components left in; repeatable.")]
Add = Annotated[bool, typer.Option("--add", help="Also add each component alone to the bare agent.")]
Margin = Annotated[
    float | None,
    typer.Option(min=0, help="Size of an effect that counts as none; by default 5 % of the scores' range."),
]
Runs = Annotated[Path, typer.Option(help="Directory of runs; finished ones are not repeated.")]
Out = Annotated[Path | None, typer.Option(help="Folder of tables and pictures.")]
Jobs = Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")]
Plan = Annotated[bool, typer.Option("--plan", help="Only show the arms and their commands.")]


def ablate(
    blueprint: BlueprintArgument,
    overrides: Overrides = None,
    variant: Variants = None,
    seeds: Seeds = 10,
    suite: Suite = None,
    tasks: Tasks = None,
    only: Only = None,
    skip: Skip = None,
    add: Add = False,
    margin: Margin = None,
    runs: Runs = Path("runs"),
    out: Out = None,
    jobs: Jobs = 1,
    plan: Plan = False,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Measure what each component of an agent adds.

    Agents without it, and with it alone, are compared over paired seeds.

    Examples:
        composer ablate dmc/sac_simba --seeds 5 --plan
        composer ablate dmc/sac_simba --tasks walker-walk,cheetah-run --jobs 2
    """
    from composer.blueprint.syntax.notation import experiment
    from composer.studies.ablation import ablate as study
    from composer.studies.ablation import report
    from composer.studies.ablation.arms import arms

    def look_ahead() -> dict[str, Any]:
        chosen = experiment(blueprint, overrides or (), variant or ())
        return study.plan(arms(chosen, range(seeds), _tasks(suite, tasks), only or (), skip or (), add))

    def measure() -> dict[str, Any]:
        which = blueprint, overrides or (), variant or (), seeds, _tasks(suite, tasks), only or (), skip or (), add
        return study.ablate(*which, margin, runs, out, jobs, say)

    tell(guarded(look_ahead if plan else measure, as_json), report.plan_text if plan else report.text, as_json)


def _tasks(suite: str | None, tasks: str | None) -> list[str]:
    from composer.studies import Refused
    from composer.studies.ablation.arms import suite_tasks

    if suite is not None and tasks is not None:
        raise Refused("give --suite or --tasks, not both")
    names = suite_tasks(suite) if suite is not None else (tasks or "").split(",")
    return [name.strip() for name in names if name]
