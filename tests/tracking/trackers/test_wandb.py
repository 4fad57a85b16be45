"""W&B, offline: what its files have of a run, read as W&B wrote them; nothing of the machine is in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stores import is_whole, offline_records, tracked_by
from test_exactly_once import deliver
from tracking_run import append, rows, timing

from composer.tracking.records import JOURNAL, TIMING

SECRET = "5ec2e7" * 7


def test_a_run_of_each_seed_and_their_means(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever W&B's own variables say."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("WANDB_PROJECT", "other")
    tracked_by(run_dir, "wandb")
    append(run_dir / JOURNAL, rows())
    append(run_dir / TIMING, timing())
    deliver(run_dir)
    assert is_whole(run_dir, "wandb")
    found = {}
    for path in (run_dir.parents[1] / "wandb").glob("*/*.wandb"):
        assert re.fullmatch(rf"offline-run-\d{{8}}_\d{{6}}-{path.stem.removeprefix('run-')}", path.parent.name)
        records = list(offline_records(path))
        (run,) = {record.run.run_id: record.run for record in records if record.HasField("run")}.values()
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        found[run.display_name] = (run.project, run.run_group, run.job_type, config["agent"], config.get("seed"))
        assert config["algorithm.kind"] == "sac"
        assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]
        assert not any(record.HasField("environment") for record in records)
    assert found == {
        "sac@reset · mean": ("composer", "r-1", "mean", "sac@reset", None),
        "sac@reset · seed 3": ("composer", "r-1", "seed", "sac@reset", "3"),
        "sac@reset · seed 5": ("composer", "r-1", "seed", "sac@reset", "5"),
    }
    files = [path for path in (run_dir.parents[1] / "wandb").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    before = {path: path.stat().st_mtime_ns for path in (run_dir.parents[1] / "wandb").rglob("*.wandb")}
    deliver(run_dir)
    assert {path: path.stat().st_mtime_ns for path in before} == before
