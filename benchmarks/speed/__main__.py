"""``python -m benchmarks.speed``: the command line of the speed benchmark. Tests: tests/benchmarks/test_speed.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.speed import command
from benchmarks.speed.text import text
from composer.cli.answers import guarded, say, tell
from composer.cli.arguments import Json

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Workloads; by default all.")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the workloads and measure nothing.")] = False,
    seconds: Annotated[float, typer.Option(min=0.01, max=600, help="Length of one timed stretch.")] = 1.5,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Timed stretches of each, taken in turns.")] = 5,
    seeds: Annotated[str, typer.Option(help="Numbers of our seeds in one program.")] = "1,2,4,8,16",
    out: Annotated[Path | None, typer.Option(help="Also write the result as JSON here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw speed against work here: a .png or .svg file.")] = None,
    as_json: Json = False,
) -> None:
    """Compare speed with stable-baselines3, SBX and TorchRL, where they are installed, and with a floor."""

    def measure() -> dict[str, Any]:
        if list_only:
            return command.listed()
        from composer.studies.bench import seed_counts

        counts, workloads = seed_counts(seeds), command.chosen(names or ())
        return command.bench(seconds, repeats, say, out, plot, workloads, counts)

    tell(guarded(measure, as_json), text, as_json)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.speed")
