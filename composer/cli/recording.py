"""``composer record``: a data set from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from composer.cli.answers import answer, guarded, say
from composer.cli.arguments import AllowModule, Checkpoint, Json, RunPath
from composer.cli.exporting import chosen_checkpoint
from composer.spec.stages import telling


def record(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="A file ending in .parquet, or a folder for Minari's layout.")],
    episodes: Annotated[int, typer.Option(min=1, max=1_000_000, help="Episodes of each seed.")] = 100,
    checkpoint: Checkpoint = "last",
    explore: Annotated[bool, typer.Option("--explore", help="Explore as in training.")] = False,
    noise: Annotated[float, typer.Option(min=0, max=10, help="Deviation of Gaussian noise on actions.")] = 0.0,
    epsilon: Annotated[float, typer.Option(min=0, max=1, help="Share of uniformly random actions.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Other episodes, and other noise.")] = 0,
    replay: Annotated[bool, typer.Option("--replay", help="Write the run's replay instead of playing.")] = False,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Write a data set from a run's policy, or from its replay.

    Offline learning reads it: environment.kind = "offline". It is in the units of the environment, with the returns of
    random actions and of the run's best evaluation as references of scores.

    Examples:
        composer record runs/quickstart-* --out data/medium.parquet --noise 0.2
        composer record runs/quickstart-* --out data/replay --replay
    """
    chosen = chosen_checkpoint(checkpoint, as_json)

    def write() -> dict[str, Any]:
        from composer.training.record.episodes import Play
        from composer.training.record.record import record as recorded

        return recorded(run, out, Play(episodes, seed, explore, noise, epsilon), chosen, replay)

    with telling():
        table = guarded(write, as_json)
    spread = f"from {table['smallest_return']:.4g} to {table['largest_return']:.4g}"
    say(f"{table['episodes']:,} episodes, {table['steps']:,} steps; mean return {table['mean_return']:.4g}, {spread}")
    best = f", the run's best evaluation {table['ref_max_score']:.4g}" if "ref_max_score" in table else ""
    say(f"references: random actions {table['ref_min_score']:.4g}{best}")
    say(f'learn from it: data = {{ kind = "{table["kind"]}", path = "{table["data"]}", sha256 = "{table["sha256"]}" }}')
    answer(table, as_json)
