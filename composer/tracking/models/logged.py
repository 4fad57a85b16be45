"""The best and the last checkpoint of a run as MLflow's LoggedModels, ranked by their result in the Models tab.

A LoggedModel names a checkpoint in the run directory; no file is copied. A run has at most two: a newer best replaces
the older. Tests: tests/tracking/models/test_logged.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from composer.tracking.mlflow_search import condition

RUN_TAG: Final = "composer.run_id"
_FOLDER = re.compile(r"(best|step)-(\d{12})")
_UNSAFE = re.compile(r"[/:.%\"'\s]+")
"""What the name of a LoggedModel may not contain."""


class Checkpoint(NamedTuple):
    """A checkpoint that becomes a model."""

    kind: str
    """``best`` or ``last``."""
    folder: str
    env_step: int
    evaluated_at: int
    """The environment step of the evaluation whose result it has."""


def chosen(folders: Sequence[str], results: Mapping[int, float]) -> list[Checkpoint]:
    """The best and the last of a run's checkpoints, by their folders and its results by environment step.

    The best is that of the first evaluation with the highest result, if its agent is kept; the last is left out where
    it is the same.
    """
    kept = {(match[1], int(match[2])): match[0] for folder in folders if (match := _FOLDER.fullmatch(folder))}
    found = []
    if results:
        best = max(results, key=lambda step: (results[step], -step))
        folder = kept.get(("best", best)) or kept.get(("step", best))
        found = [Checkpoint("best", folder, best, best)] if folder else []
    steps = [step for kind, step in kept if kind == "step"]
    if steps and max(steps) not in [each.env_step for each in found]:
        last = max(steps)
        before = [step for step in results if step <= last]
        if before:
            found.append(Checkpoint("last", kept["step", last], last, max(before)))
    return found


def log_models(
    client: Any, experiment_id: str, run_id: str, metric: str, folders: Sequence[str], tags: Mapping[str, str]
) -> None:
    """Make the LoggedModels of a run those of its checkpoints; does nothing where they are so already.

    ``metric`` is MLflow's name of the result on the parent run ``run_id``; ``tags`` are the run's.
    """
    history = {each.step: each for each in client.get_metric_history(run_id, metric)}
    wanted = chosen(folders, {step: each.value for step, each in history.items()})
    there = client.search_logged_models([experiment_id], condition(RUN_TAG, "=", tags[RUN_TAG]))
    # One without a result was left by a kill between its creation and its metric: it is made anew.
    have = {(model.tags.get("checkpoint"), model.tags.get("folder")) for model in there if model.metrics}
    for model in there:
        key = (model.tags.get("checkpoint"), model.tags.get("folder"))
        if not model.metrics or key not in [(each.kind, each.folder) for each in wanted]:
            client.delete_logged_model(model.model_id)
    for each in wanted:
        if (each.kind, each.folder) not in have:
            _create(client, experiment_id, run_id, each, history[each.evaluated_at], tags)


def _create(
    client: Any, experiment_id: str, run_id: str, checkpoint: Checkpoint, result: Any, tags: Mapping[str, str]
) -> None:
    from mlflow.entities import LoggedModelStatus, Metric

    known = {name: tags[name] for name in ("agent", "task", "seeds", "study", RUN_TAG) if name in tags}
    model = client.create_logged_model(
        experiment_id,
        name=_UNSAFE.sub("-", f"{tags.get('agent', 'agent')} {checkpoint.kind}")[:200],
        source_run_id=run_id,
        tags={**known, "checkpoint": checkpoint.kind, "folder": checkpoint.folder},
        params={"env_step": str(checkpoint.env_step), "evaluated_at": str(checkpoint.evaluated_at)},
        model_type="agent",
    )
    # The run has this very point, to the millisecond: it is not stored a second time.
    point = Metric(result.key, result.value, result.timestamp, result.step, model_id=model.model_id)
    client.log_batch(run_id, metrics=[point], synchronous=True)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
