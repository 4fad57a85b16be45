"""Reading columns of steps from Parquet, HDF5 and NumPy's npz. Tests: tests/environments/test_offline_data.py.

Columns have the names of composer, of D4RL or of OGBench. An observation may be one column, or one for each of its
parts, ``observation.<part>``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import WHOLE, Steps
from composer.spec.wording import listing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.offline.data import Arrays

NAMES: Final = {
    "observation": ("observation", "observations"),
    "action": ("action", "actions"),
    "reward": ("reward", "rewards"),
    "terminated": ("terminated", "terminals", "terminations"),
    "truncated": ("truncated", "timeouts", "truncations"),
    "next_observation": ("next_observation", "next_observations"),
    "mask": ("mask", "masks"),
    "episode": ("episode", "episode_id"),
}
"""Names of each column."""
_NEEDED: Final = ("observation", "action", "reward", "terminated")


def steps_of(columns: Arrays, path: Path) -> Steps:
    """The steps in columns by their names in a file; ``path`` is for messages. Raises DataUnusable."""
    found = {name: {part: columns[key] for part, key in _parts(columns, name)} for name in NAMES}
    for name in _NEEDED:
        if not found[name]:
            hint = _without_rewards(columns) if name == "reward" else ""
            raise DataUnusable(f"{path} has no column {listing(NAMES[name])}; it has {listing(columns)}{hint}")
    lengths = {len(values) for each in found.values() for values in each.values()}
    if len(lengths) > 1:
        raise DataUnusable(f"{path}: its columns have different lengths, {listing(map(str, sorted(lengths)))}")
    terminated = found["terminated"][WHOLE].astype(bool).reshape(-1)
    cut = found["truncated"][WHOLE].astype(bool).reshape(-1) if found["truncated"] else np.zeros_like(terminated)
    if found["mask"]:
        ends = terminated
        terminated = found["mask"][WHOLE].reshape(-1) == 0
        cut = ends & ~terminated
    if found["episode"]:
        number = found["episode"][WHOLE].reshape(-1)
        cut = (cut | np.append(number[1:] != number[:-1], False)) & ~terminated
    action, reward = found["action"][WHOLE], found["reward"][WHOLE].reshape(-1)
    return Steps(found["observation"], action, reward, terminated, cut, found["next_observation"] or None)


def _parts(columns: Arrays, name: str) -> list[tuple[str, str]]:
    """The parts of a column with their keys."""
    for known in NAMES[name]:
        if known in columns:
            return [(WHOLE, known)]
        if parts := [key for key in columns if key.startswith(f"{known}.")]:
            return [(key.removeprefix(f"{known}."), key) for key in parts]
    return []


def _without_rewards(columns: Arrays) -> str:
    if "qpos" not in columns:
        return ""
    return (
        ". This is a file of OGBench for reaching goals: save what ogbench.make_env_and_datasets gives for a"
        " '-singletask-' name with numpy.savez, rewards and masks included"
    )


def size_of(path: Path) -> int | None:
    """Steps in a file, without reading them; None where it does not tell."""
    try:
        return _format(path).size(path)
    except (OSError, ValueError, KeyError, StopIteration, ImportError, DataUnusable):
        return None


def read(path: Path) -> Steps:
    """All steps of a file. Raises DataUnusable."""
    try:
        columns = _format(path).columns(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataUnusable(f"{path} cannot be read: {error}") from error
    return steps_of(columns, path)


class _Format(NamedTuple):
    """How files with one ending are read."""

    size: Callable[[Path], int]
    """Steps, without reading them."""
    columns: Callable[[Path], Arrays]


def _npz_size(path: Path) -> int:
    with np.load(path, allow_pickle=False) as found:
        return next(len(found[name]) for name in NAMES["reward"] if name in found)


def _npz_columns(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise DataUnusable("HDF5 files need h5py: install rl-composer[minari]") from None
    return h5py


def _hdf5_size(path: Path) -> int:
    with _h5py().File(path, "r") as file:
        return next(int(file[name].shape[0]) for name in NAMES["reward"] if name in file)


def _hdf5_columns(path: Path) -> Arrays:
    """Data sets by name; those of a group as parts of an observation."""
    h5py, found = _h5py(), {}
    with h5py.File(path, "r") as file:

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.shape:
                found[name.replace("/", ".")] = item[()]

        file.visititems(keep)
    return found


def _parquet_size(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)


def _parquet_columns(path: Path) -> Arrays:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        raise DataUnusable(f"{path} cannot be read: {error}") from error
    return {name: _as_array(table.column(name)) for name in table.column_names}


def _as_array(column: Any) -> NDArray[Any]:
    """Entries that are lists of numbers, nested or not, in order."""
    import pyarrow

    rows, shape, values = len(column), [], column.combine_chunks()
    while isinstance(values.type, pyarrow.ListType | pyarrow.FixedSizeListType | pyarrow.LargeListType):
        outer, values = len(values), values.flatten()
        if len(values) % max(outer, 1):
            raise ValueError("rows of a column differ in length")
        shape.append(len(values) // max(outer, 1))
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array.reshape(rows, *shape)


_HDF5 = _Format(_hdf5_size, _hdf5_columns)
_FORMATS: Final = {
    ".parquet": _Format(_parquet_size, _parquet_columns),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".npz": _Format(_npz_size, _npz_columns),
}


def _format(path: Path) -> _Format:
    if path.suffix not in _FORMATS:
        raise DataUnusable(f"{path}: its name has to end with one of {listing(_FORMATS)}")
    return _FORMATS[path.suffix]
