"""Pictures of a run as MLflow's own, which its page shows. Tests: tests/tracking/test_mlflow_store.py."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER: Final = "images"
_NAME: Final = re.compile(r"(.+)\+step\+(\d+)\+timestamp\+.*\+compressed\.webp")
"""Names of the files that MLflow writes of a picture; the compressed one comes last."""


def log_picture(client: MlflowClient, run_id: str, content: bytes, key: str, step: int) -> None:
    """Log a PNG as picture ``key`` at ``step``."""
    from PIL import Image

    with Image.open(BytesIO(content), formats=["PNG"]) as picture:
        client.log_image(run_id, picture.convert("RGB"), key=key, step=step, synchronous=True)


def pictures(client: MlflowClient, run_id: str) -> set[tuple[str, int]]:
    """Key and step of every picture that was logged whole."""
    names = [Path(file.path).name for file in client.list_artifacts(run_id, FOLDER)]
    found = [_NAME.fullmatch(name) for name in names]
    return {(match[1], int(match[2])) for match in found if match}
