"""Commands on study files: ``composer study check``, ``plan``, ``run``, ``status`` and ``report``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from composer.cli import commands
from composer.cli.answers import fail, guarded, read_study, say, tell, warnings_text
from composer.cli.arguments import AllowModule, Json, StudyFile
from composer.spec.quantities import counted

study = typer.Typer(
    no_args_is_help=True,
    help="Train and watch a study: tasks by variants by seeds.",
    epilog=commands.examples_text(
        ("composer study check studies/digits_width", "composer study run studies/digits_width")
    ),
)

Runs = Annotated[Path, typer.Option(help="Directory of new runs, and of earlier ones that are not repeated.")]
Only = Annotated[
    list[str] | None,
    typer.Option(metavar="AXIS=VALUE,...", help="Only points with these values, or the task; repeatable: any of them."),
]
Jobs = Annotated[int | None, typer.Option(min=1, max=10_000, help="Runs at a time; by default 1 on this machine.")]
Slurm = Annotated[
    str | None,
    typer.Option(
        metavar="auto|local|KEY=VALUE,...",
        help="Train in jobs of Slurm, such as partition=gpu,time=12:00:00; local needs no cluster.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="auto|local|ADDRESS[,KEY=VALUE,...]",
        help="Train on a Ray cluster: this machine's, a new one of this machine alone, or the one at an address.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="The study's own folder; by default studies/NAME beside the runs directory.")
]

Until = Annotated[
    str | None,
    typer.Option(metavar="decided", help="Add seeds in blocks until every pair of points is decided or hopeless."),
]
MaxSeeds = Annotated[int | None, typer.Option(min=2, max=1_000, help="Most seeds with --until; 24 by default.")]
Block = Annotated[int | None, typer.Option(min=1, max=64, help="Seeds between looks with --until; 3 by default.")]
AgainstFirst = Annotated[
    bool, typer.Option("--against-first", help="With --until, only compare each point with the first.")
]


def check(file: StudyFile, as_json: Json = False) -> None:
    """Check every point of a study; nothing is trained.

    Also shows what each point sets.

    Examples:
        composer study check studies/simba_ladder
    """
    from composer.studies.study import describe

    found = read_study(file, as_json)
    if found.warnings:
        say(warnings_text(found.warnings))
    tell(describe.answer(found), describe.text, as_json)


def run(
    file: StudyFile,
    jobs: Jobs = None,
    slurm: Slurm = None,
    ray: Ray = None,
    runs: Runs = Path("runs"),
    out: Out = None,
    only: Only = None,
    until: Until = None,
    max_seeds: MaxSeeds = None,
    block: Block = None,
    against_first: AgainstFirst = False,
    yes: Annotated[bool, typer.Option("--yes", help="Train it although it costs more than its limits.")] = False,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Train the runs of a study; the same command continues it.

    Examples:
        composer study run studies/digits_width --jobs 2
        composer study run studies/digits_width --only width=16 --until decided
    """
    if until != "decided":
        _ensure_without(until, bool(max_seeds or block or against_first), as_json)
    found = read_study(file, as_json, is_to_run=True)
    say(f"{found.name}: {counted(len(found.runs), 'run')}")
    from composer.studies.execution import study_run
    from composer.studies.execution.launchers import launching
    from composer.studies.sequential import until as sequential

    def train() -> dict[str, Any]:
        with launching(study_run.folder_of(found, runs, out), jobs, slurm, ray, found.tree) as launcher:
            if until is None:
                return study_run.run_study(found, runs, out, only or (), say, jobs or 1, launcher, yes)
            given = (max_seeds, block, against_first, yes)
            return sequential.run_until_decided(found, runs, out, only or (), say, jobs or 1, *given, launcher)

    table = guarded(train, as_json)
    tell(table, lambda _: study_run.text(table) + (sequential.text(table) if until else ""), as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def _ensure_without(until: str | None, has_options: bool, as_json: bool) -> None:
    """Exit with 2 where ``--until`` has another word, or options of it are given without it."""
    if until is not None:
        fail(f"--until takes the word decided, got {until!r}", 2, as_json)
    if has_options:
        fail("--max-seeds, --block and --against-first belong to --until decided", 2, as_json)


def plan(
    file: StudyFile,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time on this machine.")] = 1,
    runs: Runs = Path("runs"),
    out: Out = None,
    only: Only = None,
    calibrate: Annotated[
        bool, typer.Option(help="Train a few seconds of each distinct run, to say how long all take.")
    ] = True,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Say what a study costs: runs, memory, disk and hours.

    Also updates and arithmetic. What is finished counts as done.

    Examples:
        composer study plan studies/digits_width
        composer study plan studies/digits_width --no-calibrate
    """
    found = read_study(file, as_json, is_to_run=calibrate)
    from composer.studies.execution import study_run
    from composer.studies.planning import plan as planning

    def table() -> dict[str, Any]:
        chosen, folder = study_run.selected(found, only or ()), study_run.folder_of(found, runs, out)
        programs = study_run.programs_of(found)
        return planning.plan(found.name, chosen, runs, folder, jobs, found.limits, say, calibrate, programs)

    tell(guarded(table, as_json), planning.text, as_json)


def status(file: StudyFile, runs: Runs = Path("runs"), out: Out = None, as_json: Json = False) -> None:
    """Show how far a study is, also while it trains.

    Nothing is written.

    Examples:
        composer study status studies/digits_width
    """
    found = read_study(file, as_json)
    from composer.studies.execution import study_status

    tell(guarded(lambda: study_status.status(found, runs, out), as_json), study_status.text, as_json)


def report(file: StudyFile, runs: Runs = Path("runs"), out: Out = None, as_json: Json = False) -> None:
    """Write the report of a study anew: tables and figures.

    Also what they decide, of the runs that have ended until now.

    Examples:
        composer study report studies/digits_width
    """
    found = read_study(file, as_json)
    from composer.studies.report import command

    tell(guarded(lambda: command.make_anew(found, runs, out), as_json), command.text, as_json)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (check, plan, run, status, report)
for _command in COMMANDS:
    commands.add(study, _command)
