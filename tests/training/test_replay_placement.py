"""Where a replay is put: as asked, or where there is room; once, told, and refused where there is none."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
import tiny_dqn
import torch
from tiny_replays import maps
from tiny_runs import EVENTFUL, begin, finished, go_on, result, stopped

from composer.blueprint import Blueprint
from composer.blueprint.forecast.memory import allocated
from composer.training import assemble
from composer.training.assemble import forked_run as beginning
from composer.training.collect import replay_placement as placing
from composer.training.collect.replay_placement import ReplayPlacement, choose_placement, recorded_placement
from composer.training.endings import exit_code
from composer.training.runs.directory import read_blueprint

GIB = 2**30


def place(blueprint: Blueprint, device: str, directory: Path) -> ReplayPlacement:
    return choose_placement(blueprint.replay.storage, allocated(blueprint), device, directory)


@pytest.mark.parametrize(
    ("device", "free", "memory", "found"),
    [
        ("cpu", 1, 1, "device"),
        ("cpu", 1e-6, 1, "disk"),
        ("cuda", 1, 1e-6, "device"),
        ("cuda", 1e-6, 1, "host"),
        ("cuda", 1e-6, 1e-6, "disk"),
    ],
)
def test_auto_takes_the_first_place_that_has_room(
    device: str, free: float, memory: float, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_free", lambda device: int(free * GIB))
    monkeypatch.setattr(placing, "available_bytes", lambda: int(memory * GIB))
    blueprint = tiny_dqn.tiny()
    assert place(blueprint, device, tmp_path).storage == found
    numbers = place(blueprint, device, tmp_path).provenance(device)
    assert bool(numbers) == (device == "cuda" and found != "device")
    asked = tiny_dqn.tiny("replay.storage=host")
    assert place(asked, device, tmp_path) == ReplayPlacement("host", "replay.storage is 'host'")


def test_numbers_that_follow_from_the_place_are_part_of_the_provenance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    for found in ({}, {}, {"batches_drawn_on": "cpu"}):
        monkeypatch.setattr(ReplayPlacement, "provenance", lambda place, device, found=found: found)
        run, parts = begin(tmp_path, *EVENTFUL)
        hashes.append(run.facts["hash"])
        parts.close()
        run.close()
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_run_too_short_to_fill_its_replay_is_placed_by_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    assert place(tiny_dqn.tiny("replay.capacity=50_000_000"), "cpu", tmp_path).storage == "device"
    long = ("replay.capacity=50_000_000", "training.env_steps=100_000_000")
    with pytest.raises(OSError, match=r"too much for 1\.00 GiB of memory"):
        monkeypatch.setattr(placing, "disk_bytes", lambda _: 10)
        place(tiny_dqn.tiny(*long), "cpu", tmp_path)


def test_a_resumed_run_does_not_choose_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = result(finished(tmp_path, *EVENTFUL)[0])
    monkeypatch.setattr(placing, "available_bytes", lambda: 20_000)
    run, parts = begin(tmp_path, *EVENTFUL)
    assert run.facts["replay_storage"] == "disk"
    assert re.match(r".* are too much for .* of memory that are free", run.facts["replay_reason"])
    path = stopped(run, parts, 70)
    del parts
    gc.collect()
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    run, parts, _ = assemble.resume(path)
    assert maps(path) == 1
    go_on(parts)
    run.close()
    assert result(path) == whole
    assert recorded_placement({}).storage == "device", "runs that were made before there was a choice"


def test_too_little_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "disk_bytes", lambda _: 2_048)
    runs = tmp_path / "runs"
    said = (
        f"replay.capacity: the replay needs 6.02 KiB on disk (replay.storage is 'disk'), and {runs} has 2.00 KiB left"
    )
    with pytest.raises(OSError, match=re.escape(said)) as refused:
        begin(runs, *EVENTFUL, "replay.storage=disk")
    assert exit_code(refused.value) == 7
    assert not runs.exists()
    # Segments of checkpoints are no replay on disk: other runs are not asked.
    run, parts = begin(runs, *EVENTFUL)
    parts.close()
    run.close()


def test_a_fork_that_draws_elsewhere_says_that_its_stream_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU's generator keeps is 16 bytes, and no CPU's can go on from them."""
    monkeypatch.setattr(placing, "available_bytes", lambda: 20_000)
    path, parts = finished(tmp_path / "runs", *EVENTFUL)
    monkeypatch.setattr(placing, "available_bytes", lambda: GIB)
    origin = beginning.read_origin(path, None)
    tensors = {**origin.snapshot.tensors, "random/replay/5": torch.zeros(16, dtype=torch.uint8)}
    origin.snapshot.tensors = tensors
    monkeypatch.setattr(beginning, "read_origin", lambda *_: origin)
    longer = parts.training.model_copy(update={"env_steps": 150})
    longer = read_blueprint(path).model_copy(update={"training": longer})
    run, fork, notes = assemble.fork(path, longer, None, 0, tmp_path / "forks")
    assert "fresh, for the checkpoint has none: random/replay/5" in notes
    assert run.facts["replay_storage"] == "disk", "as its origin's, though there is room by now"
    go_on(fork)
    run.close()
