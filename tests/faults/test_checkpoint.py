"""Checkpoints that are damaged, torn or half written: found, named, and never trusted."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, Segment, Snapshot
from composer.training.runs.state_digest import digest

PER_STEP = 10
FILES = ("state.safetensors", "state.json", "manifest.json", "replay")


def rows(start: int, stop: int) -> Tensor:
    """Replay rows that tell their number."""
    return torch.arange(start, stop).float()[:, None, None].expand(-1, 2, 3).contiguous()


class Writer:
    """A run that saves every 100 steps, ten replay rows each, of which the newest ``capacity`` are held."""

    def __init__(self, run: Path, keep: int = 2, capacity: int = 1_000) -> None:
        self.run, self.checkpoints, self.capacity = run, Checkpoints(run, keep), capacity
        self.segments: list[Segment] = []

    def save(self, number: int) -> Path:
        added = number * PER_STEP
        held = max(0, added - self.capacity)
        written = self.segments[-1].stop if self.segments else 0
        self.segments.append(self.checkpoints.append_rows(max(written, held), rows(max(written, held), added)))
        self.segments = [segment for segment in self.segments if segment.stop > held]
        return self.checkpoints.save(number * 100, self.snapshot(number, held))

    def snapshot(self, number: int, held: int) -> Snapshot:
        tensors = {"weight": torch.full((3, 4), float(number)), "steps": torch.tensor([number])}
        return Snapshot(tensors, {"interactions": number, "replay_start": held}, tuple(self.segments))


def content(checkpoints: Checkpoints) -> tuple[int, list[float]]:
    """Number of the newest good checkpoint and the replay rows that it restores."""
    snapshot = checkpoints.load()
    first = snapshot.values["replay_start"]
    found = torch.cat([part[max(0, first - start) :] for start, part in checkpoints.rows(snapshot)])
    return snapshot.values["interactions"], found[:, 0, 0].tolist()


def newest_file(run: Path, name: str) -> Path:
    if name == "replay":
        return max((run / "replay").iterdir())
    return max((run / "checkpoints").iterdir()) / name


@pytest.fixture
def saved(tmp_path: Path) -> Writer:
    """A run with the checkpoints 2 and 3."""
    writer = Writer(tmp_path)
    for number in (1, 2, 3):
        writer.save(number)
    return writer


def test_the_newest_is_loaded_whole(saved: Writer) -> None:
    assert saved.checkpoints.steps() == [200, 300]
    snapshot = Checkpoints(saved.run).load()
    assert snapshot.path == saved.run / "checkpoints" / "step-000000000300"
    assert snapshot.skipped == []
    assert torch.equal(snapshot.tensors["weight"], torch.full((3, 4), 3.0))
    assert content(Checkpoints(saved.run)) == (3, list(range(30)))


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_found_named_and_stepped_over(saved: Writer, name: str) -> None:
    path = newest_file(saved.run, name)
    whole = path.read_bytes()
    places = range(0, len(whole), 3 if len(whole) > 500 else 1)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        if name == "manifest.json" and whole[place : place + 1].isspace() and damaged[place : place + 1].isspace():
            continue  # Another kind of blank says the same.
        snapshot = Checkpoints(saved.run).load()
        assert snapshot.values["interactions"] == 2, f"bit of byte {place} of {name}"
        assert len(snapshot.skipped) == 1
        assert str(path) in snapshot.skipped[0]
    path.write_bytes(whole)
    assert content(Checkpoints(saved.run))[0] == 3


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["cut", "emptied", "grown", "removed", "folder"])
def test_a_file_of_another_size_or_kind_is_found_and_named(saved: Writer, name: str, how: str) -> None:
    path = newest_file(saved.run, name)
    whole = path.read_bytes()
    if how in ("removed", "folder"):
        path.unlink()
    if how == "folder":
        path.mkdir()
    content_ = {"cut": whole[:-1], "emptied": b"", "grown": whole + b"x"}.get(how)
    if content_ is not None:
        path.write_bytes(content_)
    snapshot = Checkpoints(saved.run).load()
    assert snapshot.values["interactions"] == 2
    assert str(path) in snapshot.skipped[0]


def test_a_pickle_in_the_place_of_a_file_is_never_opened(saved: Writer, tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    for name in FILES:
        torch.save(Bomb(), newest_file(saved.run, name))
        assert Checkpoints(saved.run).load().values["interactions"] == 2
    assert not marker.exists()


def test_all_damaged_is_an_error_that_names_every_one(saved: Writer) -> None:
    for step in (200, 300):
        (saved.run / "checkpoints" / f"step-{step:012d}" / "state.json").write_text("{}")
    with pytest.raises(CheckpointDamaged, match=r"step-000000000300/state\.json.*step-000000000200/state\.json"):
        Checkpoints(saved.run).load()
    with pytest.raises(CheckpointDamaged, match="no checkpoint in"):
        Checkpoints(saved.run / "elsewhere").load()


def test_a_shared_segment_takes_both_with_it(saved: Writer) -> None:
    first = min((saved.run / "replay").iterdir())
    first.write_bytes(first.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(CheckpointDamaged, match=f"{first.name}: its SHA-256.*{first.name}: its SHA-256"):
        Checkpoints(saved.run).load()


def test_another_format_is_refused_in_words(saved: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.training.runs.state_folder.FORMAT", 2)
    with pytest.raises(CheckpointDamaged, match="format 1, this composer reads 2"):
        Checkpoints(saved.run).load()


def test_what_a_kill_leaves_behind_is_ignored_and_swept(saved: Writer) -> None:
    staged = saved.run / "checkpoints" / ".tmp-step-000000000400"
    shutil.copytree(saved.run / "checkpoints" / "step-000000000300", staged)
    (saved.run / "replay" / ".tmp-rows-000000000030-000000000040.safetensors").write_bytes(b"half")
    orphan = saved.run / "replay" / "rows-000000000030-000000000035.safetensors"
    orphan.write_bytes(b"written, but no checkpoint came to know it")
    assert content(Checkpoints(saved.run))[0] == 3
    saved.save(4)
    left = sorted(path.name for path in (saved.run / "checkpoints").iterdir())
    assert left == ["step-000000000300", "step-000000000400"]
    assert sorted((saved.run / "replay").iterdir())[-1].name == "rows-000000000030-000000000040.safetensors"
    assert not orphan.exists()
    assert content(Checkpoints(saved.run)) == (4, list(range(40)))


def test_two_stay_whatever_was_asked_for(tmp_path: Path) -> None:
    writer = Writer(tmp_path, keep=1)
    for number in range(1, 6):
        writer.save(number)
    assert writer.checkpoints.steps() == [400, 500]
    more = Writer(tmp_path / "more", keep=3)
    more.run.mkdir()
    for number in range(1, 6):
        more.save(number)
    assert more.checkpoints.steps() == [300, 400, 500]


def test_a_save_writes_new_rows_only(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.save(1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "replay").iterdir()}
    writer.save(2)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "replay").iterdir()}
    assert {path: after[path] for path in before} == before
    (new,) = set(after) - set(before)
    assert new.name == "rows-000000000010-000000000020.safetensors"
    assert new.stat().st_size < 1.2 * PER_STEP * 2 * 3 * 4 + 200


def test_rows_that_the_ring_has_lost_are_removed_once_no_checkpoint_needs_them(tmp_path: Path) -> None:
    writer = Writer(tmp_path, capacity=25)
    for number in range(1, 8):
        writer.save(number)
        first = max(0, number * PER_STEP - 25)
        assert content(Checkpoints(tmp_path)) == (number, list(range(first, number * PER_STEP)))
        if number > 1:  # And the one before can be gone back to, too.
            newest = tmp_path / "checkpoints" / f"step-{number * 100:012d}"
            aside = newest.rename(tmp_path / "aside")
            held = list(range(max(0, first - PER_STEP), (number - 1) * PER_STEP))
            assert content(Checkpoints(tmp_path)) == (number - 1, held)
            aside.rename(newest)
    names = sorted(path.name for path in (tmp_path / "replay").iterdir())
    assert names[0] == "rows-000000000030-000000000040.safetensors"
    assert len(names) == 4


def test_digest_does_not_depend_on_how_rows_lie_in_segments(tmp_path: Path) -> None:
    digests = set()
    for name, cuts in [("one", [0, 30]), ("three", [0, 4, 11, 30]), ("older", [0, 2, 30])]:
        (tmp_path / name).mkdir()
        checkpoints = Checkpoints(tmp_path / name)
        segments = [checkpoints.append_rows(a, rows(a, b)) for a, b in pairwise(cuts)]
        values = {"interactions": 3, "replay_start": 3}
        checkpoints.save(300, Snapshot({"weight": torch.ones(2)}, values, tuple(segments)))
        digests.add(digest(checkpoints, checkpoints.load()))
    assert len(digests) == 1


def test_digest_sees_every_item(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    segments = (checkpoints.append_rows(0, rows(0, 5)),)
    other = (checkpoints.append_rows(5, rows(5, 10)),)
    tensors, values = {"a": torch.ones(2), "b": torch.zeros(2)}, {"interactions": 1}
    states = [
        Snapshot(tensors, values, segments),
        Snapshot(tensors, {"interactions": 2}, segments),
        Snapshot(tensors, values, other),
        Snapshot({**tensors, "b": torch.tensor([0.0, -0.0])}, values, segments),
        Snapshot({"a": torch.ones(2), "c": torch.zeros(2)}, values, segments),
        Snapshot({**tensors, "b": torch.zeros(2, dtype=torch.int32)}, values, segments),
        Snapshot({**tensors, "b": torch.zeros(1, 2)}, values, segments),
        Snapshot({"a": torch.ones(2)}, values, segments),
    ]
    assert len({digest(checkpoints, state) for state in states}) == len(states)
    elsewhere = [Snapshot(tensors, {**values, "journal_offset": length}, segments) for length in (7, 8)]
    assert {digest(checkpoints, state) for state in elsewhere} == {digest(checkpoints, states[0])}


def test_rewritten_rows_bring_their_own_fingerprint(saved: Writer) -> None:
    """An inexact resume from the checkpoint before writes other rows under the same name."""
    newest_file(saved.run, "state.json").write_text("{}")
    again = Writer(saved.run)
    snapshot = again.checkpoints.load()
    again.segments = list(snapshot.segments)
    again.checkpoints.discard_after(200)
    assert again.checkpoints.steps() == [200]
    again.segments.append(again.checkpoints.append_rows(20, rows(20, 30) + 0.5))
    again.checkpoints.save(300, again.snapshot(3, 0))
    assert content(Checkpoints(saved.run)) == (3, [*range(20), *(n + 0.5 for n in range(20, 30))])


def test_a_full_disk_keeps_the_last_checkpoint(saved: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        from safetensors import SafetensorError

        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as disk:
        disk.setattr("composer.training.runs.state_files.save_file", full)
        with pytest.raises(OSError, match="No space left on device"):
            saved.save(4)
    assert content(Checkpoints(saved.run))[0] == 3
    assert saved.checkpoints.steps() == [200, 300]
    saved.save(5)
    assert content(Checkpoints(saved.run)) == (5, list(range(50)))


def test_files_are_on_the_device_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    rename = Path.rename
    for module in ("checkpoint", "state_folder"):
        target = f"composer.training.runs.{module}.flush_to_disk"
        monkeypatch.setattr(target, lambda path: calls.append(("sync", path.name)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (calls.append(("rename", to.name)), rename(self, to))[1])
    Writer(tmp_path).save(1)
    segment, step = "rows-000000000000-000000000010.safetensors", "step-000000000100"
    assert calls[:3] == [("sync", f".tmp-{segment}"), ("rename", segment), ("sync", "replay")]
    assert set(calls[3:6]) == {("sync", name) for name in ("state.safetensors", "state.json", "manifest.json")}
    assert calls[6:] == [("sync", f".tmp-{step}"), ("rename", step), ("sync", "checkpoints")]


def test_the_manifest_lists_every_file_with_size_and_hash(saved: Writer) -> None:
    manifest = json.loads(newest_file(saved.run, "manifest.json").read_text())
    expected = {"checkpoints/step-000000000300/state.json", "checkpoints/step-000000000300/state.safetensors"}
    expected |= {f"replay/{segment.name}" for segment in saved.segments}
    assert set(manifest["files"]) == expected
    for name, entry in manifest["files"].items():
        assert entry["bytes"] == (saved.run / name).stat().st_size
        assert len(entry["sha256"]) == 64
