"""Files of the trackers ``csv`` and ``parquet``: the table of ``composer.read``, bit for bit, and torn rows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from stores import table, tracked_by
from test_exactly_once import deliver
from tracking_run import append, rows, timing
from typer.testing import CliRunner

import composer
from composer.cli import app
from composer.tracking.records import JOURNAL, TIMING, Tracking
from composer.tracking.store import StoreError
from composer.tracking.trackers.rows import Row, RowsFile, read_rows
from composer.tracking.uploader import sync


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_file_is_the_table_that_composer_reads(run_dir: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of names and values that a careless writer would spoil."""
    odd = {'a, "quoted"': 0.1 + 0.2, "two\nlines": 1e-320, "nan": float("nan"), "inf": float("-inf"), "²": 2.0**60}
    tracked_by(run_dir, kind)
    facts = json.loads((run_dir / "run.json").read_text())
    facts |= {"agent": "sac@reset", "task": "nan", "run_id": run_dir.name}
    (run_dir / "run.json").write_text(json.dumps(facts))
    monkeypatch.setattr("composer.studies.frame.read_facts", lambda _: facts)
    tracking = Tracking.load(run_dir)
    assert tracking is not None
    tracking.tags |= {"agent": facts["agent"], "task": facts["task"]}
    tracking.save(run_dir)
    append(run_dir / JOURNAL, [*rows(), {"type": "metrics", "env_step": 800, "seed": 5, "metrics": odd}])
    append(run_dir / TIMING, timing(0, 9), clock=lambda: 1e9)
    deliver(run_dir)
    (path,) = (run_dir.parents[1] / kind / "composer").glob(f"*.{kind}")
    found, wanted = table(path), composer.read(run_dir)
    plain = {"metric": str, "seed": "Int64"}
    wanted = wanted[found.columns].astype(plain).replace({"metric": {"two\nlines": "two lines"}})
    keys = ["metric", "env_step", "seed"]
    found = found.astype(plain).sort_values(keys, ignore_index=True)
    wanted = wanted.sort_values(keys, ignore_index=True)
    found["time"] = pd.to_datetime(found.time)
    pd.testing.assert_frame_equal(found, wanted, check_exact=True, check_dtype=False, check_categorical=False)
    if kind == "parquet":
        assert pd.read_parquet(path.parent).shape == found.shape  # The folder of an experiment is one table.


@pytest.mark.parametrize("torn", [0, 3, 70, 131, 180])
def test_a_torn_row_is_cut_off(tmp_path: Path, torn: int) -> None:
    path, texts = tmp_path / "a.csv", ("run", "agent", "task")
    mine = [Row(seed, step, "x", step / 3, 1_000 * step + 1) for step in range(3) for seed in (None, 4)]
    file = RowsFile(path, texts)
    file.append(mine)
    file.close()
    path.write_bytes(path.read_bytes()[:torn])
    again = RowsFile(path, texts)
    again.append([row for row in mine if row.step not in again.steps(row.seed, "x")])
    again.close()
    assert list(read_rows(path)) == mine
    path.write_text(path.read_text() + "edited,by,hand\n")
    with pytest.raises(StoreError, match=r"a\.csv: line 8 is no row that composer wrote; move the file away"):
        list(read_rows(path))


def test_a_run_is_sent_to_another_tracker_and_keeps_its_own(run_dir: Path) -> None:
    tracked_by(run_dir, "csv")
    append(run_dir / JOURNAL, rows())
    before = (run_dir / Tracking.file).read_bytes()
    found = CliRunner().invoke(app, ["ui", "--runs", str(run_dir.parent)], env={"MLFLOW_TRACKING_URI": None})
    assert found.exit_code == 0 and f"CSV files in {run_dir.parents[1] / 'csv'}" in found.stderr
    report = sync(run_dir, "parquet")
    assert report.is_complete and report.opening is not None and report.mlflow_run_id is None
    assert len(list((run_dir.parents[1] / "parquet").rglob("*.parquet"))) == 1
    assert (run_dir / Tracking.file).read_bytes() == before
    with pytest.raises(ValueError, match="no tracker of kind 'wanddb'"):
        sync(run_dir, "wanddb")
