"""The command that fits scaling laws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from composer.cli.answers import guarded, say, tell
from composer.cli.arguments import AllowModule, Json
from composer.cli.completion import arguments as complete

What = Annotated[
    list[str],
    typer.Argument(
        metavar="STUDY | FILE[@VARIANT] [KEY=VALUE ...] ...",
        help="A study's file, or blueprints with overrides: each is one agent, with and without something.",
        autocompletion=complete.blueprints,
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(help="The size: a numeric axis of the study, or KEY=V1,V2,V3,...; repeated keys change together."),
]
Against = Annotated[
    Literal["size", "parameters", "flops"],
    typer.Option(help="What the law is over: size, parameters, or operations of a run."),
]
Kind = Annotated[Literal["final", "area"], typer.Option(help="Of the metric: final, or area (its mean over steps).")]
Threshold = Annotated[
    float | None, typer.Option(help="Instead: environment steps until the metric reaches this value.")
]
HoldOut = Annotated[
    str | None,
    typer.Option(help="A size, or 'largest': it is trained, not fitted, and tests the prediction."),
]


def scale(
    what: What,
    over: Over = None,
    against: Against = "size",
    metric: Annotated[str | None, typer.Option(help="The metric; by default that of the evaluation.")] = None,
    target: Kind = "final",
    threshold: Threshold = None,
    hold_out: HoldOut = None,
    predict: Annotated[list[float] | None, typer.Option(help="Predict here, without training; repeatable.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw sizes and law here: a file of .png, .svg or .pdf.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one line per seed here.")] = None,
    runs: Annotated[Path, typer.Option(help="Directory of new runs and of earlier ones.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of the study; by default studies/NAME beside runs.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes at a time.")] = 1,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Fit a power law over sizes, and test what it predicts.

    Intervals are over seeds; the test is a size that the fit has not seen.

    Examples:
        composer scale studies/digits_width --over width --hold-out largest
        composer scale quickstart --over networks.critic.trunk.width=16,32,64,128
    """
    from composer.studies.scale import report as study
    from composer.studies.scale.scale import Question
    from composer.studies.scale.target import target_of

    def fit() -> dict[str, Any]:
        asked = Question(target_of(metric, target, threshold), against, study.held_out_size(hold_out), predict or ())
        return study.answer(what, over or (), asked, runs, out, jobs, study.Files(plot, csv), say)

    tell(guarded(fit, as_json), study.text, as_json)
