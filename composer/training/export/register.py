"""``composer register``: an exported policy as a version of a model in MLflow's registry.

Tests: tests/training/export/test_register.py.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

from composer.spec.errors import ComposerError
from composer.spec.version import __version__
from composer.tracking.credentials import plain_error
from composer.tracking.mlflow_store import ready_store
from composer.tracking.records import StoredRun, Tracking
from composer.tracking.store import StoreError
from composer.tracking.uploader import store_variables
from composer.training.export.export import export
from composer.training.runs.chosen import Chosen

ARTIFACT: Final = "policy"
"""The folder of the run's artifacts that has the model."""
_NAME = re.compile(r"[^/:.%\"']{1,200}")


class NotRegistered(ComposerError, RuntimeError):
    """A policy cannot be registered; the message says what to do."""

    exit_code = 2


def register(
    run: Path, name: str, format: str = "torch", checkpoint: Chosen = "best", seed: int | None = None
) -> dict[str, Any]:
    """Export the policy of a seed and make it a new version of the registered model ``name``.

    The files go to the artifacts of the run in MLflow. Returns the card of the export with ``model`` and ``version``.
    Raises NotRegistered, what ``export`` raises, and StoreError where the store refuses.
    """
    if not _NAME.fullmatch(name):
        raise NotRegistered(f"{name!r} is no name of a model: 1 to 200 characters, without / : . % and quotes")
    stored, tracking = StoredRun.load(run), Tracking.load(run)
    if stored is None or tracking is None or tracking.kind != "mlflow":
        raise NotRegistered(
            f"{run} is in no MLflow store yet: composer sync {run} sends it, if it has a tracking store"
        )
    destination = tracking.destination(run)
    with tempfile.TemporaryDirectory() as folder:
        card = export(run, format, checkpoint, seed, Path(folder) / "files")
        model = _model(Path(folder), card)
        with store_variables(destination):
            try:
                with ready_store(destination):
                    version = _version(destination.client_uri, stored.run_id, name, model, card)
            except ComposerError:
                raise
            except Exception as error:  # Of a server or a network.
                raise StoreError(plain_error(error, destination, tracking.experiment)) from error
    return card | {"model": name, "version": version}


def _model(folder: Path, card: dict[str, Any]) -> Path:
    """The folder of the pyfunc."""
    from mlflow import pyfunc

    path = folder / "model"
    needed = [f"{name}=={version}" for name, version in card["versions"].items() if name != "composer"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It would like hints of types that no policy of several inputs has.
        pyfunc.save_model(
            str(path),
            loader_module="composer.training.export.pyfunc",
            data_path=card["folder"],
            pip_requirements=[f"rl-composer=={__version__}", *needed],
        )
    return path


def _version(uri: str, run_id: str, name: str, model: Path, card: dict[str, Any]) -> str:
    from mlflow.exceptions import MlflowException

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    target = f"{ARTIFACT}-{card['checkpoint']}-seed{card['seed']}-{card['format']}"
    client.log_artifacts(run_id, str(model), target)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{target}"
    keys = ("agent", "task", "seed", "env_step", "checkpoint", "format")
    tags = {key: str(card[key]) for key in keys}
    return str(client.create_model_version(name, source, run_id, tags=tags).version)
