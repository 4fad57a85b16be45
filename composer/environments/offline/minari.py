"""Data sets of Minari, local ones in any of its layouts. Tests: tests/environments/test_offline_data.py."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from composer.environments.offline.data import OfflineData, Steps, missing

METADATA = "metadata.json"


class Minari(OfflineData, kind="minari"):
    """A data set of Minari on this machine, HDF5 or Arrow: its folder, or its id in Minari's folder of data sets.

    An id such as ``mujoco/hopper/medium-v0`` is looked for under ``MINARI_DATASETS_PATH``, else ``~/.minari/datasets``.
    ``minari download`` fetches it; training never does. Its episodes have an observation more than actions, so that
    every transition has its next observation.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "minari", "path": "mujoco/hopper/medium-v0"}

    @property
    @override
    def title(self) -> str:
        return str(self.metadata().get("dataset_id", self.path))

    @override
    def files(self) -> list[Path]:
        folder = self._folder()
        if folder is None:
            root = _root() / self.path
            what = f"neither does {root}; minari download {self.path} may fetch it, or composer record writes one"
            raise missing(Path(self.path).expanduser(), what)
        return [path for path in folder.rglob("*") if path.is_file()]

    @override
    def size(self) -> int | None:
        found = self.metadata().get("total_steps")
        return None if found is None else int(found)

    def metadata(self) -> Mapping[str, Any]:
        """What ``metadata.json`` says; empty where it cannot be read."""
        folder = self._folder()
        try:
            found = {} if folder is None else json.loads((folder / METADATA).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @override
    def read(self) -> Steps:
        from composer.environments.offline.minari_episodes import read

        self.files()
        folder = self._folder()
        assert folder is not None
        return read(folder)

    def _folder(self) -> Path | None:
        """The folder of its files, which holds ``metadata.json``; None where there is none."""
        path = Path(self.path).expanduser().absolute()
        places = (path / "data", path, _root() / self.path / "data")
        return next((place for place in places if (place / METADATA).is_file()), None)


def _root() -> Path:
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
