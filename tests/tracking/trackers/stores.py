"""Read what trackers of files have of a run: (part, metric, step, value) of every value, duplicates and all."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from tracking_run import expected, rows, timing

from composer.tracking.records import Tracking

Found = tuple[str, str, int, float]


def table(path: Path) -> pd.DataFrame:
    """A file of the trackers ``csv`` and ``parquet``."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, keep_default_na=False, na_values={"value": ["nan"], "seed": [""]})


def _tables(run_dir: Path, kind: str) -> Iterator[Found]:
    (path,) = (run_dir.parents[1] / kind / "composer").glob(f"*.{kind}")
    found = table(path)
    for seed, name, step, value in zip(found.seed, found.metric, found.env_step, found.value, strict=True):
        yield "parent" if pd.isna(seed) else str(int(seed)), name, int(step), float(value)


def _events(run_dir: Path) -> Iterator[Found]:
    """What TensorBoard itself reads."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    for folder in (run_dir.parents[1] / "tensorboard" / "composer" / "sac@reset" / "r-1").iterdir():
        loaded = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
        for tag in loaded.Tags()[SCALARS]:
            for each in loaded.Scalars(tag):
                yield folder.name.removeprefix("seed-").replace("mean", "parent"), tag, each.step, each.value


def offline_records(path: Path) -> Iterator[Any]:
    """The records of a file of W&B: blocks of 32 KiB as LevelDB's log has them, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, record = path.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
            continue
        _, size, part = struct.unpack("<IHB", data[at : at + 7])
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if part in (1, 4):  # Whole, or the last part.
            yield Record.FromString(record)
            record = b""


def _offline(run_dir: Path) -> Iterator[Found]:
    for path in (run_dir.parents[1] / "wandb").glob("offline-run-*/*.wandb"):
        role = path.stem.rpartition("-")[2].replace("mean", "parent")
        for record in offline_records(path):
            for item in record.history.item:
                name = item.key or item.nested_key[0]
                if not name.startswith("_"):
                    yield role, name, record.history.step.num, json.loads(item.value_json)


READERS: dict[str, Callable[[Path], Iterator[Found]]] = {
    "csv": lambda run_dir: _tables(run_dir, "csv"),
    "parquet": lambda run_dir: _tables(run_dir, "parquet"),
    "tensorboard": _events,
    "wandb": _offline,
}


def journal() -> dict[tuple[str, str, int], float]:
    """What trackers that keep the journal's names must have of the rows of ``tracking_run``."""
    found: dict[tuple[str, str, int], float] = {}
    for row in (*rows(), *timing()):
        run = "parent" if row.get("seed") is None else str(row["seed"])
        values = {f"events/{row['name']}": 1.0} if row["type"] == "event" else row["metrics"]
        found |= {(run, name, row["env_step"]): value for name, value in values.items()}
    return found


EXPECTED: dict[str, Callable[[], dict[tuple[str, str, int], float]]] = {"csv": journal, "parquet": journal}


def once(run_dir: Path, kind: str) -> dict[tuple[str, str, int], float]:
    """What the store has; fails where a value is there twice."""
    found = list(READERS[kind](run_dir))
    twice = [key for key, count in Counter(each[:3] for each in found).items() if count > 1]
    assert not twice, twice
    return {each[:3]: each[3] for each in found}


def is_whole(run_dir: Path, kind: str) -> bool:
    """Whether the store has every value of the run, once, as written."""
    found, wanted = once(run_dir, kind), EXPECTED.get(kind, expected)()
    return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in wanted)


def _same(a: float, b: float) -> bool:
    """Equal, or as TensorBoard has it: it keeps floats of 32 bits."""
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=2**-24)


def tracked_by(run_dir: Path, kind: str) -> Path:
    """The run directory, tracked by this kind in its default folder."""
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    tracking.kind, tracking.system_metrics = kind, False
    tracking.save(run_dir)
    return run_dir
