"""An exported policy as MLflow's pyfunc: ``mlflow.pyfunc.load_model("models:/NAME/1").predict(observations)``.

MLflow imports this module to load a model that ``composer register`` logged; the model holds the files of ``composer
export`` and no pickle. Tests: tests/training/export/test_register.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from composer.training.export.export import CARD
from composer.training.export.formats import FORMATS


class ExportedPolicy:
    """The policy of a folder that ``composer export`` wrote."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError and ValueError where the folder is none."""
        self.card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        kind = FORMATS[self.card["format"]]
        self._call = kind.load(folder / kind.file)

    def predict(self, observations: Any, params: object = None) -> Any:
        """Actions ``[n, ...]`` as an array for observations ``[n, ...]``, an array or arrays by name."""
        if isinstance(observations, dict):
            given: Any = {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in observations.items()}
        else:
            given = torch.from_numpy(np.ascontiguousarray(observations))
        return self._call(given).numpy()


def _load_pyfunc(path: str) -> ExportedPolicy:
    """What MLflow calls with the folder of the model's data."""
    return ExportedPolicy(Path(path))
