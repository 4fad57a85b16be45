"""The best and the last checkpoint of a run as MLflow's LoggedModels, ranked by their result in the Models tab.

A LoggedModel names a checkpoint in the run directory; no file is copied. A run has at most two: a newer best replaces
the older. Tests: tests/tracking/models/test_logged.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from composer.tracking.mlflow_search import condition
from composer.tracking.page.names import Headline

RUN_TAG: Final = "composer.run_id"
FOLDER_TAG: Final = "run_directory"
"""The run directory, from the folder in which the directory of runs is."""
NOTE: Final = "mlflow.note.content"
TAGS: Final = ("agent", "task", "seeds", "study")
LONGEST_NAME: Final = 200
_FOLDER = re.compile(r"(best|step)-(\d{12})")
_UNSAFE = re.compile(r"[/:.%\"']+")
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

    ``metric`` is MLflow's name of the result on the parent run ``run_id``, whose bounds at that step go with it;
    ``tags`` are the run's. Metrics name the dataset of the run, so that tasks stand apart.
    """
    shown = Headline(metric)
    names = (shown.name, shown.low, shown.high)
    history, *bounds = ({each.step: each for each in client.get_metric_history(run_id, name)} for name in names)
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
            points = [found[each.evaluated_at] for found in (history, *bounds) if each.evaluated_at in found]
            _create(client, experiment_id, run_id, each, points, tags)


def _create(
    client: Any, experiment_id: str, run_id: str, checkpoint: Checkpoint, points: Sequence[Any], tags: Mapping[str, str]
) -> None:
    """Make a model with these ``points`` of the run as its metrics, and an output of the run."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    known = {name: tags[name] for name in (*TAGS, RUN_TAG, FOLDER_TAG) if name in tags}
    title = " · ".join([checkpoint.kind, tags.get("agent", "agent"), *filter(None, [tags.get("task")])])
    model = client.create_logged_model(
        experiment_id,
        name=_UNSAFE.sub("_", title)[:LONGEST_NAME],
        source_run_id=run_id,
        tags={**known, "checkpoint": checkpoint.kind, "folder": checkpoint.folder, NOTE: _note(checkpoint, tags)},
        params={"env_step": str(checkpoint.env_step), "evaluated_at": str(checkpoint.evaluated_at)},
        model_type="agent",
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, checkpoint.env_step)])
    data = _dataset(client.get_run(run_id))
    # The run has these very points, to the millisecond: they are not stored a second time.
    found = [Metric(each.key, each.value, each.timestamp, each.step, model.model_id, **data) for each in points]
    client.log_batch(run_id, metrics=found, synchronous=True)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _note(checkpoint: Checkpoint, tags: Mapping[str, str]) -> str:
    """The description of a model: where it is, and how its policy leaves the run directory."""
    folder, when = tags.get(FOLDER_TAG, "RUN"), f"evaluated at environment step {checkpoint.evaluated_at:,}"
    export = f"composer export {shlex.quote(folder)} --checkpoint {checkpoint.kind} --format onnx"
    return f"`{folder}/checkpoints/{checkpoint.folder}`, {when}. Its policy as a file: `{export}`"


def _dataset(run: Any) -> dict[str, str]:
    """The name and the digest of what a run learns from, as metrics have them; nothing where it has none."""
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return {"dataset_name": inputs[0].dataset.name, "dataset_digest": inputs[0].dataset.digest} if inputs else {}
