"""Data sets of Minari, local ones in any of its layouts. Tests: tests/environments/test_offline_data.py."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import WHOLE, OfflineData, Steps, missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        self.files()
        try:
            from minari import MinariDataset
        except ImportError:
            raise DataUnusable("data sets of Minari need its library: install rl-composer[minari]") from None
        try:
            episodes = list(MinariDataset(self._folder()).iterate_episodes())
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise DataUnusable(f"{self.path} cannot be read by Minari: {error}") from error
        if not episodes:
            raise DataUnusable(f"{self.path} has no episodes")
        return _steps(episodes)

    def _folder(self) -> Path | None:
        """The folder of its files, which holds ``metadata.json``; None where there is none."""
        path = Path(self.path).expanduser()
        places = (path / "data", path, _root() / self.path / "data")
        return next((place for place in places if (place / METADATA).is_file()), None)


def _root() -> Path:
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")


def _steps(episodes: list[Any]) -> Steps:
    seen = [dict(_leaves(each.observations, "")) for each in episodes]
    joined = {name: np.concatenate([each[name][:-1] for each in seen]) for name in seen[0]}
    following = {name: np.concatenate([each[name][1:] for each in seen]) for name in seen[0]}
    ends = np.zeros(sum(len(each.rewards) for each in episodes), bool)
    ends[np.cumsum([len(each.rewards) for each in episodes]) - 1] = True
    action, reward, terminated, truncated = (
        np.concatenate([np.asarray(getattr(each, name)) for each in episodes])
        for name in ("actions", "rewards", "terminations", "truncations")
    )
    terminated = terminated.astype(bool)
    return Steps(joined, action, reward, terminated, (truncated.astype(bool) | ends) & ~terminated, following)


def _leaves(observation: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays of an observation, ``[T + 1, ...]``; names of nested ones are joined by dots."""
    if isinstance(observation, Mapping | tuple):
        inner = observation.items() if isinstance(observation, Mapping) else enumerate(observation)
        for key, each in inner:
            yield from _leaves(each, f"{name}.{key}" if name else str(key))
    else:
        yield name or WHOLE, np.asarray(observation)
