"""What a run learns from, as an input of its MLflow run: in the column *Dataset* and on the run's page.

Tests: tests/tracking/test_mlflow_store.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from composer.tracking.dataset import Dataset
    from mlflow import MlflowClient

CONTEXT: Final = "mlflow.data.context"
"""MLflow's tag of an input that its page shows beside the name."""
ENVIRONMENTS: Final = "environments"


def log_dataset(client: MlflowClient, run_ids: Sequence[str], dataset: Dataset) -> None:
    """Make a data set an input of runs, to train on; MLflow keeps each once, whatever is repeated.

    The schema is a table of columns, and the profile a list of counts and versions: what its page can show.
    """
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput, InputTag

    entity = Entity(
        name=dataset.name,
        digest=dataset.digest,
        source_type="code",
        source=json.dumps({"tags": dataset.source}),
        schema=json.dumps({"mlflow_colspec": [{"name": name, "type": each} for name, each in dataset.columns.items()]}),
        profile=json.dumps({**dataset.counts, **dataset.source.get("versions", {})}),
    )
    tags = {CONTEXT: "training"}
    if dataset.environments:
        tags[ENVIRONMENTS] = str(dataset.environments)
    for run_id in run_ids:
        client.log_inputs(run_id, [DatasetInput(entity, [InputTag(*each) for each in tags.items()])])
