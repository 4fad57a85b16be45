"""The command that chooses the next points of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import guarded, say, tell
from composer.cli.arguments import AllowModule, Json, StudyFile


def discover(
    study: StudyFile,
    next_: Annotated[int, typer.Option("--next", min=1, max=256, help="Points to choose, also in each round.")] = 3,
    subset: Annotated[int, typer.Option(min=1, max=64, help="Points of the diverse subset that is looked for.")] = 3,
    rounds: Annotated[int, typer.Option("--run", min=0, max=1_000, help="Rounds that train what they choose.")] = 0,
    metric: Annotated[
        str | None, typer.Option(help="The metric, read at the end of runs; by default that of the evaluation.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn; of the choice, not of runs.")] = 0,
    runs: Annotated[Path, typer.Option(help="Directory of new runs and of earlier ones.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of the study; by default studies/NAME beside runs.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")] = 1,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Choose the next points of a large study, or train them.

    Their effects are to be large and diverse.

    Examples:
        composer discover studies/width_ratio_resets --next 4 --subset 2
    """
    from composer.studies.discover import report
    from composer.studies.discover.discover import Question

    def choose() -> dict[str, Any]:
        return report.answer(study, Question(metric or "", next_, subset, seed), runs, out, rounds, jobs, say)

    tell(guarded(choose, as_json), report.text, as_json)
