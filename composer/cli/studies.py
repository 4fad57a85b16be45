"""Commands on study files: ``composer study check``, ``run``, ``status`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import ended_by_itself, guarded, read_study, say, tell, warnings_text
from composer.cli.arguments import AllowModule, Json
from composer.cli.once import Once
from composer.spec.quantities import counted

study = typer.Typer(no_args_is_help=True, help="Train and watch a study: tasks by variants by seeds, in one file.")

StudyFile = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped one.")]
Runs = Annotated[Path, typer.Option(help="Directory of new runs, and of earlier ones that are not repeated.")]
Out = Annotated[
    Path | None, typer.Option(help="The study's own folder; by default studies/NAME beside the runs directory.")
]


def check(file: StudyFile, as_json: Json = False) -> None:
    """Check every point of a study, and show what each sets; nothing is trained."""
    from composer.studies.study import describe

    found = read_study(file, as_json)
    if found.warnings:
        say(warnings_text(found.warnings))
    tell(describe.answer(found), describe.text, as_json)


def run(
    file: StudyFile,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time on this machine.")] = 1,
    runs: Runs = Path("runs"),
    out: Out = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE,...", help="Only points with these values; repeatable: any of them."),
    ] = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Train the runs of a study, except those that were finished before: the same command continues a study."""
    found = read_study(file, as_json, is_to_run=True)
    say(f"{found.name}: {counted(len(found.runs), 'run')}")
    from composer.studies.execution import study_run

    def train() -> dict[str, Any]:
        return study_run.run_study(found, runs, out, only or (), say, jobs)

    table = guarded(train, as_json)
    tell(table, study_run.text, as_json)
    raise typer.Exit(1 if table["failed"] else 0)


def status(file: StudyFile, runs: Runs = Path("runs"), out: Out = None, as_json: Json = False) -> None:
    """Show how far a study is, also while another process trains it; nothing is written."""
    found = read_study(file, as_json)
    from composer.studies.execution import study_status

    tell(guarded(lambda: study_status.status(found, runs, out), as_json), study_status.text, as_json)


def report(file: StudyFile, runs: Runs = Path("runs"), out: Out = None, as_json: Json = False) -> None:
    """Write the report of a study anew: tables, figures and what they decide, of the runs that have ended until now."""
    found = read_study(file, as_json)
    from composer.studies.report import command

    tell(guarded(lambda: command.make_anew(found, runs, out), as_json), command.text, as_json)


for _command in (check, run, status, report):
    study.command(cls=Once)(ended_by_itself(_command))
