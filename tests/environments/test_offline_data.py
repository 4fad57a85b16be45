"""Formats of data sets: the same steps from each, and digests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import drift_columns

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import OfflineData, Steps
from composer.environments.offline.file import File
from composer.environments.offline.minari import Minari

NAMES = ("observation", "action", "reward", "terminated", "truncated", "next_observation")


def columns() -> dict[str, np.ndarray]:
    return dict(zip(NAMES, drift_columns(5).values(), strict=True))


def write(path: Path, found: dict[str, np.ndarray]) -> None:
    """The columns in the format of the file's ending."""
    if path.suffix == ".npz":
        np.savez(path, **found)
    elif path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        lists = {name: values if values.ndim == 1 else list(values) for name, values in found.items()}
        parquet.write_table(pyarrow.table(lists), path)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, values in found.items():
                file[name.replace(".", "/")] = values


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".h5"])
def test_each_format_gives_the_same_steps(ending: str, tmp_path: Path) -> None:
    found, data = columns(), File(path=str(tmp_path / f"drift{ending}"))
    write(tmp_path / f"drift{ending}", found)
    assert data.size() == len(found["reward"])
    read = data.read()
    for values, name in zip((read.action, read.reward, read.terminated, read.cut), NAMES[1:5], strict=True):
        np.testing.assert_array_equal(values, found[name])
    assert read.following is not None
    np.testing.assert_array_equal(read.observation["observation"], found["observation"])
    np.testing.assert_array_equal(read.following["observation"], found["next_observation"])
    # An observation in parts, and episodes that are numbered instead of flagged.
    ends = found["terminated"] | found["truncated"]
    parts = {"observation.x": found["observation"][:, :1], "observation.y": found["observation"][:, 1:]}
    numbers = np.append(0, np.cumsum(ends)[:-1])
    write(tmp_path / f"parts{ending}", parts | {name: found[name] for name in NAMES[1:4]} | {"episode": numbers})
    other = File(path=str(tmp_path / f"parts{ending}")).read()
    assert sorted(other.observation) == ["x", "y"] and other.following is None
    np.testing.assert_array_equal((other.cut | other.terminated)[:-1], ends[:-1])


def test_masks_of_ogbench_are_its_terminations(tmp_path: Path) -> None:
    base = {"observations": np.zeros((4, 1)), "actions": np.zeros((4, 1)), "rewards": np.zeros(4)}
    ends = {"terminals": np.array([0, 1, 0, 1.0]), "masks": np.array([1, 1, 1, 0.0])}
    np.savez(tmp_path / "maze.npz", **base, **ends)
    read = File(path=str(tmp_path / "maze.npz")).read()
    assert read.terminated.tolist() == [False, False, False, True] and read.cut.tolist() == [False, True, False, False]
    np.savez(tmp_path / "goals.npz", observations=base["observations"], actions=base["actions"], qpos=np.zeros((4, 2)))
    with pytest.raises(DataUnusable, match=r"'reward', 'rewards'.*-singletask-"):
        File(path=str(tmp_path / "goals.npz")).read()


@pytest.mark.parametrize(
    ("content", "message"),
    [({"reward": np.zeros(2)}, "different lengths, '2', "), ({"terminated": None}, "no column 'term.*it has 'action'")],
)
def test_columns_that_do_not_fit(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    kept = {name: values for name, values in {**columns(), **content}.items() if values is not None}
    write(tmp_path / "drift.npz", kept)
    with pytest.raises(DataUnusable, match=message):
        File(path=str(tmp_path / "drift.npz")).read()
    (tmp_path / "drift.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataUnusable, match="cannot be read"):
        File(path=str(tmp_path / "drift.parquet")).read()
    (tmp_path / "drift.csv").write_text("a,b")
    with pytest.raises(DataUnusable, match="has to end with"):
        File(path=str(tmp_path / "drift.csv")).read()


def test_digests_are_those_of_sha256sum_and_are_held_to(tmp_path: Path) -> None:
    write(tmp_path / "drift.npz", columns())
    expected = hashlib.sha256((tmp_path / "drift.npz").read_bytes()).hexdigest()
    data: OfflineData = File(path=str(tmp_path / "drift.npz"), sha256=expected)
    assert data.digest() == expected
    write(tmp_path / "drift.npz", columns() | {"reward": columns()["reward"] + 1})
    with pytest.raises(DataUnusable, match=f"not {expected}"):
        data.digest()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("layout", ["hdf5", "arrow", "parquet"])
def test_minari_s_own_files(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by its library; found by path and by id."""
    minari = pytest.importorskip("minari")
    import gymnasium

    found = columns()
    ends = (found["terminated"] | found["truncated"]).nonzero()[0] + 1
    boxes = [gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32) for size in (3, 2)]
    episodes = []
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        seen = np.concatenate([found["observation"][start:stop], found["next_observation"][stop - 1 : stop]])
        rest = [found[name][start:stop] for name in NAMES[1:5]]
        kept = dict(
            zip(("observations", "actions", "rewards", "terminations", "truncations"), [seen, *rest], strict=True)
        )
        episodes.append(minari.data_collector.EpisodeBuffer(id=None, seed=None, infos=None, **kept))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    minari.create_dataset_from_buffers(
        "drift/random-v0", episodes, observation_space=boxes[0], action_space=boxes[1], data_format=layout
    )
    for path in ("drift/random-v0", str(tmp_path / "drift" / "random-v0")):
        data = Minari(path=path)
        assert (data.size(), data.title) == (len(found["reward"]), "drift/random-v0")
        read: Steps = data.read()
        assert read.following is not None
        np.testing.assert_array_equal(read.following["observation"], found["next_observation"])
        np.testing.assert_array_equal(read.reward, found["reward"])
        np.testing.assert_array_equal(read.cut, found["truncated"])
    before = data.digest()
    (tmp_path / "drift/random-v0/data/more").write_text("x")
    assert data.digest() != before
