"""Arguments and options that several commands take.

One experiment is written ``FILE@VARIANT+VARIANT KEY=VALUE ~KEY``: ``BlueprintArgument`` and ``Overrides``, with the
option ``Variants``; ``answers.read`` loads it. Commands on several blueprints take ``BlueprintArguments``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.completion import arguments as complete
from composer.spec.seeds import seeds_in

_FILE = "FILE[@VARIANT+...]"
BlueprintArgument = Annotated[
    str,
    typer.Argument(
        metavar=_FILE,
        help="A TOML file or the name of a shipped one, perhaps with variants of it.",
        autocompletion=complete.blueprint,
    ),
]
_SEVERAL = typer.Argument(
    metavar=f"{_FILE} [KEY=VALUE | ~KEY ...] ...",
    help="TOML files or names of shipped ones, each perhaps with variants, and with overrides after it.",
    autocompletion=complete.blueprints,
)
BlueprintArguments = Annotated[list[str], _SEVERAL]
FewBlueprints = Annotated[list[str] | None, _SEVERAL]
"""The same where there may be none."""
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE | ~KEY ...]",
        help="Overrides, such as training.env_steps=10_000; ~KEY removes a key.",
        autocompletion=complete.overrides,
    ),
]
RunOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE | ~KEY ...]",
        help="Changed keys, such as optimizers.actor.learning_rate=1e-4; ~KEY removes one.",
        autocompletion=complete.run_overrides,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, last, on standard output.")]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        help="A variant, as after @ in FILE@VARIANT; repeatable: later ones come after.",
        autocompletion=complete.variant,
    ),
]
Listed = Annotated[
    str | None,
    typer.Option(
        "--variants",
        help="Comma-separated variants, or combinations a+b; 'base' is the blueprint itself.",
        autocompletion=complete.variants,
    ),
]


def _allow(names: list[str] | None) -> list[str] | None:
    from composer.spec import allowed_modules

    allowed_modules.allow(names or ())
    return names


AllowModule = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-module",
        metavar="NAME",
        callback=_allow,
        help="A module that environment.module may import although no installed distribution declares it; repeatable.",
    ),
]
Beside = Annotated[
    list[str] | None,
    typer.Option(metavar="'FILE KEY=VALUE ...'", help="An experiment that trains in the same program; repeatable."),
]
Absent = Annotated[
    list[int] | None,
    typer.Option(min=0, help="Leave the place of this experiment empty, counted from 0; repeatable."),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="0-3|0,2,5-7", help="Seeds, with ranges that include both ends: all train in one program."),
]


def seeds_override(seeds: str | None) -> list[str]:
    """The override that an option ``--seeds`` stands for, in a list; none without it. Raises SeedsError."""
    return [] if seeds is None else [f"seeds={seeds_in(seeds)}"]


Together = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated variants, combinations a+b, or 'base', that train in one program.",
        autocompletion=complete.variants,
    ),
]
Name = Annotated[
    str | None, typer.Option(help="Name of the run and of its directory, before the time; the agent keeps its own.")
]
Tags = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag in run.json and in MLflow; repeatable.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Make one update, evaluation and checkpoint, and keep nothing.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", autocompletion=complete.run)]
RunPaths = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="Run directories; each may hold several seeds.", autocompletion=complete.run),
]
StudyFile = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped one.", autocompletion=complete.study),
]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu or cuda.", autocompletion=complete.one_of("auto", "cpu", "cuda"))
]
Format = Annotated[
    str,
    typer.Option(
        help="torch: a program of torch.export; onnx: for onnxruntime.", autocompletion=complete.one_of("torch", "onnx")
    ),
]
Checkpoint = Annotated[
    str,
    typer.Option(
        metavar="best|last|STEP",
        help="The agent of the best evaluation, the newest, or a step.",
        autocompletion=complete.one_of("best", "last"),
    ),
]
At = Annotated[
    int | None, typer.Option(min=0, help="Environment step of a kept checkpoint; by default the newest good one.")
]
Examined = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run directory; or a file of stable-baselines3 (.zip) or CleanRL (.cleanrl_model).",
        autocompletion=complete.run,
    ),
]
Branches = Annotated[
    int | None, typer.Option(max=1_000, help="Pairs of forks per seed; by default enough for ten pairs in all.")
]
Horizon = Annotated[
    int | None, typer.Option(help="Environment steps trained after the fork; by default five evaluations.")
]
Injected = Annotated[
    list[str] | None,
    typer.Option(help="Parameters to inject, a glob such as 'critic.head.*'; repeatable. By default the last layers."),
]
DoctorFolder = Annotated[
    Path | None, typer.Option(help="Folder of forks, report and picture; by default one next to the run.")
]
ObservationFile = Annotated[
    Path | None, typer.Option(help="Of a file of another library: its observations, .npy or .npz.")
]
PlayedEnvironment = Annotated[
    str | None, typer.Option(help="Of such a file: the Gymnasium id in which its agent acts, in their place.")
]
