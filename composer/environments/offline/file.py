"""Transitions in one file. Tests: tests/environments/test_offline_data.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from composer.environments.offline.data import OfflineData, Steps, missing


class File(OfflineData, kind="file"):
    """Transitions in a Parquet (``.parquet``), HDF5 (``.h5``, ``.hdf5``) or NumPy (``.npz``) file.

    Steps are in order of time, one episode after another. Columns: ``observation``, ``action``, ``reward``,
    ``terminated``, and where there are any ``truncated``, ``next_observation``, ``episode``; D4RL's names
    ``observations``, ``actions``, ``rewards``, ``terminals``, ``timeouts``, ``next_observations`` do as well. With
    OGBench's ``masks``, whose 0 is a termination, its ``terminals`` are the ends of episodes.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "file", "path": "data/pendulum-medium.parquet"}

    @override
    def files(self) -> list[Path]:
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise missing(path, "a Parquet, HDF5 or npz file of transitions is meant")
        return [path]

    @override
    def size(self) -> int | None:
        path = Path(self.path).expanduser()
        if not path.is_file():
            return None
        from composer.environments.offline.columns import size_of

        return size_of(path)

    @override
    def read(self) -> Steps:
        from composer.environments.offline.columns import read

        return read(self.files()[0])
