"""``composer export``: the policy of a run as a file for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.answers import answer, fail, guarded, say
from composer.cli.arguments import AllowModule, Checkpoint, Format, Json, RunPath

if TYPE_CHECKING:
    from composer.training.runs.chosen import Chosen


def export(
    run: RunPath,
    format: Format = "torch",
    checkpoint: Checkpoint = "best",
    seed: Annotated[int | None, typer.Option(help="A seed of the run; by default its first.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write; by default export in the run.")] = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Write the policy of a run as a file for torch or ONNX.

    Normaliser, networks and action scaling are inside.

    Examples:
        composer export runs/quickstart-*
        composer export runs/quickstart-* --format onnx --out policy
    """
    chosen = chosen_checkpoint(checkpoint, as_json)

    def write() -> dict[str, Any]:
        from composer.training.export.export import export as exported

        return exported(run, format, chosen, seed, out)

    table = guarded(write, as_json)
    parity = table["parity"]
    say(f"{table['agent']} on {table['task']}, seed {table['seed']}, environment step {table['env_step']:,}")
    say(f"input {', '.join(f'{name} {shape}' for name, shape in table['inputs'].items())}; output {table['output']}")
    for note in table["notes"]:
        say(note)
    say(
        f"equal to the agent within {parity['difference']:.3g} of an output's range on {parity['observations']:,} "
        f"observations of {parity['of']}; its own float32 rounds by {parity['float32_rounding']:.3g}"
    )
    say(f"written: {Path(table['folder']) / table['file']}, policy.json")
    answer(table, as_json)


def chosen_checkpoint(text: str, as_json: bool) -> Chosen:
    """The checkpoint that an option names."""
    if text == "best":
        return "best"
    if text == "last":
        return None
    try:
        return int(text.replace("_", ""))
    except ValueError:
        fail(f"--checkpoint {text}: expected best, last or an environment step", 2, as_json)
