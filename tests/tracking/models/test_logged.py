"""The best and the last checkpoint of a run are models in MLflow, ranked by their result, once each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from composer.tracking.dataset import Dataset
from composer.tracking.mlflow_store import MlflowStore, ready_store
from composer.tracking.mlflow_tracker import MlflowTracker
from composer.tracking.models.logged import FOLDER_TAG, NOTE, RUN_TAG, Checkpoint, chosen
from composer.tracking.points import Point

# MLflow's own, with the SQLAlchemy that it asks for.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

METRIC = "Result/return"


def test_which_checkpoints_are_models() -> None:
    folders = ["best-000000000020", "step-000000000030", "step-000000000040", ".step-1", "step-x"]
    best = Checkpoint("best", "best-000000000020", 20, 20)
    # Of equal results the first is the best; the last has the result of the evaluation before it.
    assert chosen(folders, {10: 1.0, 20: 5.0, 30: 5.0, 35: 2.0}) == [
        best,
        Checkpoint("last", "step-000000000040", 40, 35),
    ]
    # A best that is the last is one model; one that is not kept is none; without results there are none.
    assert chosen(folders, {10: 1.0, 40: 6.0}) == [Checkpoint("best", "step-000000000040", 40, 40)]
    assert chosen(folders, {10: 7.0, 40: 6.0}) == [Checkpoint("last", "step-000000000040", 40, 40)]
    assert chosen(folders, {}) == []


@pytest.mark.slow
def test_models_are_ranked_by_their_result(tmp_path: Path) -> None:
    """Alone asks MLflow's client: the best first, no point twice, a newer best in place of the older. Makes a store."""
    destination = MlflowTracker().destination(tmp_path / "runs", {})
    with ready_store(destination):
        store = MlflowStore(destination)
        client: Any = store._client
        experiment = store.experiment("models")

        def run(name: str, values: list[float]) -> tuple[str, dict[str, str]]:
            tags = {"agent": name, "task": "walk", RUN_TAG: f"run-{name}", FOLDER_TAG: f"runs/run-{name}"}
            run_id = store.create_run(experiment, name, tags, 0)
            moment = int(time.time() * 1000)
            points = [
                (Point("parent", f"{METRIC}{end}", 10 * (step + 1), value + beside), moment)
                for step, value in enumerate(values)
                for end, beside in ((".low", -0.5), ("", 0.0), (".high", 0.5))
            ]
            store.log_dataset([run_id], Dataset("walk", "5" * 16, {}, {}, {}))
            store.log_points(run_id, points)
            return run_id, tags

        def ranked() -> list[tuple[str, str, float]]:
            found = client.search_logged_models(
                [experiment], order_by=[{"field_name": f"metrics.{METRIC}", "ascending": False}]
            )
            results = [{point.key: point for point in each.metrics}[METRIC] for each in found]
            assert all((each.dataset_name, each.dataset_digest) == ("walk", "5" * 16) for each in results)
            return [
                (each.tags["agent"], each.tags["checkpoint"], point.value)
                for each, point in zip(found, results, strict=True)
            ]

        first, tags = run("mlp", [1.0, 3.0, 2.0])
        folders = ["best-000000000020", "step-000000000030"]
        # Killed between the model and its metric.
        client.create_logged_model(experiment, "half", first, {**tags, "checkpoint": "best", "folder": folders[0]})
        for _ in range(2):
            store.log_models(experiment, first, METRIC, folders, tags)
        assert ranked() == [("mlp", "best", 3.0), ("mlp", "last", 2.0)]
        (best,) = client.search_logged_models([experiment], "tags.checkpoint = 'best'")
        values = {point.key: (point.value, point.step) for point in best.metrics}
        assert values == {METRIC: (3.0, 20), f"{METRIC}.low": (2.5, 20), f"{METRIC}.high": (3.5, 20)}
        assert (best.name, best.tags[FOLDER_TAG], best.tags[RUN_TAG]) == (
            "best · mlp · walk",
            "runs/run-mlp",
            "run-mlp",
        )
        assert "composer export runs/run-mlp --checkpoint best" in best.tags[NOTE]
        assert "`runs/run-mlp/checkpoints/best-000000000020`" in best.tags[NOTE]
        assert best.model_id in [each.model_id for each in client.get_run(first).outputs.model_outputs]
        second, others = run("simba[x=1]", [9.0])
        store.log_models(experiment, second, METRIC, ["step-000000000010"], others)
        assert ranked() == [("simba[x=1]", "best", 9.0), ("mlp", "best", 3.0), ("mlp", "last", 2.0)]
        # The run goes on: its last is a newer one, and the best too; what they replace is gone.
        store.log_points(first, [(Point("parent", METRIC, 40, 10.0), int(time.time() * 1000))])
        store.log_models(experiment, first, METRIC, ["best-000000000040", "step-000000000040"], tags)
        assert ranked() == [("mlp", "best", 10.0), ("simba[x=1]", "best", 9.0)]
        assert [each.step for each in client.get_metric_history(first, METRIC)] == [10, 20, 30, 40]
