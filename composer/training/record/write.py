"""Writing episodes in their environment's own units: a folder in Minari's layout, or a Parquet file.

Legend: T steps of an episode. Tests: tests/training/test_record.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from typing_extensions import override

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import WHOLE
from composer.training.export.codecs import Decoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.native import NativeAction, NativePart, NativeSpaces
    from composer.training.record.episodes import Episode


class Writer(ABC):
    """A data set that is being written."""

    def __init__(self, spaces: NativeSpaces) -> None:
        """Of the environment."""
        self._spaces, self._decoder = spaces, Decoder(spaces.action)

    @abstractmethod
    def add(self, episode: Episode, is_whole: bool) -> None:
        """Write an episode; one that is not whole goes on elsewhere."""

    @abstractmethod
    def close(self, facts: Mapping[str, Any]) -> None:
        """Finish, with ``facts`` about the whole: numbers and texts."""

    def _natively(self, episode: Episode) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
        """Observations ``[T + 1, ...]`` by part and actions ``[T, ...]``."""
        return self._spaces.natively(episode.observation), self._decoder(torch.from_numpy(episode.action)).numpy()


class MinariWriter(Writer):
    """A folder in Minari's layout, HDF5 without compression of pictures."""

    def __init__(self, folder: Path, name: str, spaces: NativeSpaces) -> None:
        """``folder`` may not exist; ``name`` is the id without its version. Raises DataUnusable."""
        super().__init__(spaces)
        try:
            from minari.dataset.minari_storage import MinariStorage
        except ImportError:
            raise DataUnusable("Minari's layout needs its library: install rl-composer[minari]") from None
        within = folder.absolute() / "data"  # Minari joins a relative folder to itself.
        within.mkdir(parents=True)
        observed = {part.name: _box(part) for part in spaces.parts}
        self._is_whole = len(observed) == 1
        from gymnasium import spaces as gym

        space = next(iter(observed.values())) if self._is_whole else gym.Dict(observed)
        self._id = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)}-v0"
        self._storage = MinariStorage.new(within, space, _action_space(spaces.action), jpeg_encoding=False)

    @override
    def add(self, episode: Episode, is_whole: bool) -> None:
        from minari.data_collector import EpisodeBuffer

        parts, action = self._natively(episode)
        ends = np.zeros((2, len(action)), bool)
        ends[:, -1] = episode.terminated, is_whole and not episode.terminated
        seen = next(iter(parts.values())) if self._is_whole else parts
        buffer = EpisodeBuffer(
            id=None, observations=seen, actions=action, rewards=episode.reward,
            terminations=ends[0], truncations=ends[1], infos=None,
        )  # fmt: skip
        self._storage.update_episodes([buffer])

    @override
    def close(self, facts: Mapping[str, Any]) -> None:
        import minari

        known = {"dataset_id": self._id, "minari_version": minari.__version__, "dataset_size": self._storage.get_size()}
        self._storage.update_metadata({**facts, **known})


class ParquetWriter(Writer):
    """A Parquet file with the columns of ``environment.data.kind = "file"``; facts are in its metadata."""

    def __init__(self, file: Path, spaces: NativeSpaces) -> None:
        super().__init__(spaces)
        self._file, self._episodes = file, 0
        self._writer: Any = None
        file.parent.mkdir(parents=True, exist_ok=True)

    @override
    def add(self, episode: Episode, is_whole: bool) -> None:
        import pyarrow
        from pyarrow import parquet

        parts, action = self._natively(episode)
        steps = len(action)
        ends = np.zeros((2, steps), bool)
        ends[:, -1] = episode.terminated, not episode.terminated
        columns: dict[str, Any] = {}
        for name, values in parts.items():
            suffix = "" if len(parts) == 1 else f".{name}"
            columns[f"{WHOLE}{suffix}"] = _lists(values[:-1])
            columns[f"next_{WHOLE}{suffix}"] = _lists(values[1:])
        columns |= {"action": _lists(action), "reward": episode.reward, "terminated": ends[0], "truncated": ends[1]}
        columns |= {"episode": np.full(steps, self._episodes), "seed": np.full(steps, episode.seed, np.int64)}
        table = pyarrow.table(columns)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, table.schema)
        self._writer.write_table(table)
        self._episodes += 1

    @override
    def close(self, facts: Mapping[str, Any]) -> None:
        if self._writer is not None:
            self._writer.add_key_value_metadata({key: str(value) for key, value in facts.items()})
            self._writer.close()


def _lists(values: NDArray[Any]) -> Any:
    """An Arrow column of ``[n, ...]``: numbers, or lists of numbers of one length."""
    import pyarrow

    values = np.ascontiguousarray(values)
    if values.ndim == 1:
        return pyarrow.array(values)
    found = pyarrow.array(values.reshape(-1))
    for size in values.shape[:0:-1]:
        found = pyarrow.FixedSizeListArray.from_arrays(found, size)
    return found


def _box(part: NativePart) -> Any:
    from gymnasium import spaces

    if part.encoding == "one-hot":
        return spaces.Discrete(part.count, start=part.start)
    dtype = np.dtype(part.dtype)
    low, high = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return spaces.Box(low, high, part.shape, dtype.type)


def _action_space(action: NativeAction) -> Any:
    from gymnasium import spaces

    if action.count:
        return spaces.Discrete(action.count, start=action.start)
    dtype = np.dtype(action.dtype).type
    low, high = (np.array(each or [bound] * int(np.prod(action.shape)), dtype).reshape(action.shape)
                 for each, bound in ((action.low, -1.0), (action.high, 1.0)))  # fmt: skip
    return spaces.Box(low, high, action.shape, dtype)
