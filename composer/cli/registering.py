"""``composer register``: the policy of a run in MLflow's model registry."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from composer.cli.answers import answer, guarded, say
from composer.cli.arguments import AllowModule, Checkpoint, Format, Json, RunPath
from composer.cli.exporting import chosen_checkpoint


def register(
    run: RunPath,
    name: Annotated[str, typer.Option(help="The registered model, made if there is none of this name.")],
    format: Format = "torch",
    checkpoint: Checkpoint = "best",
    seed: Annotated[int | None, typer.Option(help="A seed of the run; by default its first.")] = None,
    allow_module: AllowModule = None,
    as_json: Json = False,
) -> None:
    """Make the policy of a run a model in MLflow's registry.

    It is exported, and becomes a new version of the model.

    Examples:
        composer register runs/quickstart-* --name cartpole
    """
    chosen = chosen_checkpoint(checkpoint, as_json)

    def write() -> dict[str, Any]:
        from composer.training.export.register import register as registered

        return registered(run, name, format, chosen, seed)

    table = guarded(write, as_json)
    say(f"{table['model']} version {table['version']}: {table['agent']} on {table['task']}, seed {table['seed']}")
    say(f'mlflow.pyfunc.load_model("models:/{table["model"]}/{table["version"]}").predict(observations)')
    answer(table, as_json)
