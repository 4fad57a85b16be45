"""What a save does, in which order: each test fails where one of its steps is left out."""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, begin, interactions, state_digest

from composer.tracking.console import Console
from composer.training.divergence import Diverged
from composer.training.loop import train
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, Segment, Snapshot
from composer.training.runs.state_digest import digest

SHORT = (DRIFT, "training.env_steps=90", "evaluation.every=90", "training.log_every=90", "checkpoint.every=20")


@pytest.mark.parametrize(
    "name", ["networks/critic/head.linear.bias", "optimizers/actor/second.head.mean.bias", "signals"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_never_saved(
    name: str, value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two rows of metrics, where nothing else looks at it."""
    run, session = begin(tmp_path, *SHORT)
    (tensor,) = [each for key, each in session.learner.tensors().items() if key == name] or [None]
    if tensor is None:
        pytest.fail(f"{name} is not among {sorted(session.learner.tensors())}")

    class Spoils(Console):
        def update(self, env_step: int, updates: int) -> None:
            if env_step == 30:
                with torch.no_grad():
                    tensor.view(-1)[0] = value

    monkeypatch.setattr(type(session.learner), "learn", lambda *_: None)
    with pytest.raises(Diverged, match=name):
        train(session, Spoils(90, enabled=False))
    assert (session.clock.env_steps, Checkpoints(run.path).steps()) == (40, [20])
    session.close()
    run.close()


def test_the_journal_is_on_the_device_before_the_checkpoint_that_counts_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, session = begin(tmp_path, *SHORT)
    for number, _ in enumerate(interactions(session)):
        if number == 10:
            break
    session.record("metrics", seed=0, metrics={"critic/loss": 1.0})
    done: list[tuple[str, str, int]] = []
    fsync, rename = os.fsync, Path.rename

    def syncing(file: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")
        done.append(("sync", Path(path).name, os.fstat(file).st_size))
        fsync(file)

    def renaming(self: Path, to: Path) -> Path:
        done.append(("rename", to.name, 0))
        return rename(self, to)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", syncing)
        disk.setattr(Path, "rename", renaming)
        session.save()
    size = int(session.journal.offset)
    assert size == (run.path / "journal.jsonl").stat().st_size > 0
    journal = done.index(("sync", "journal.jsonl", size))
    assert journal < done.index(("rename", "step-000000000011", 0))
    session.close()
    run.close()


def saved(checkpoints: Checkpoints, step: int, value: float = 0.0) -> None:
    checkpoints.save(step, Snapshot({"weight": torch.full((3,), value)}, {"interactions": step}))


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
def test_older_checkpoints_go_only_after_the_new_one_was_read_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that says that it has written, and has not."""
    checkpoints = Checkpoints(tmp_path)
    for step in (10, 20):
        saved(checkpoints, step)
    rename = Path.rename

    def losing(self: Path, to: Path) -> Path:
        found = rename(self, to)
        (found / name).write_bytes((found / name).read_bytes()[:-1])
        return found

    with monkeypatch.context() as disk:
        disk.setattr(Path, "rename", losing)
        with pytest.raises(CheckpointDamaged, match=name):
            saved(checkpoints, 30)
    assert Checkpoints(tmp_path).steps() == [10, 20, 30]
    assert Checkpoints(tmp_path).load().values["interactions"] == 20


@pytest.mark.parametrize("left", [5, 15, 30, 999])
def test_leftovers_of_every_step_are_swept(left: int, tmp_path: Path) -> None:
    """What a kill within a save left, of the step that is saved next and of any other."""
    checkpoints = Checkpoints(tmp_path)
    saved(checkpoints, 10)
    staged = tmp_path / "checkpoints" / f".tmp-step-{left:012d}"
    shutil.copytree(tmp_path / "checkpoints" / "step-000000000010", staged)
    saved(checkpoints, 30)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-000000000010",
        "step-000000000030",
    ]


def rows(start: int, stop: int, lost: float = 0.0, first: int = 0) -> torch.Tensor:
    """Replay rows that tell their number; those before ``first`` hold something else."""
    numbers = torch.arange(start, stop).float()
    return torch.where(numbers < first, lost, numbers)[:, None, None].expand(-1, 2, 3).contiguous()


def test_digest_reads_the_rows_that_the_ring_holds_and_no_others(tmp_path: Path) -> None:
    """A segment is written once: it keeps rows that the ring has overwritten since."""

    def of(name: str, cuts: list[int], lost: float = 0.0, held: float | None = None) -> str:
        (tmp_path / name).mkdir()
        checkpoints, segments = Checkpoints(tmp_path / name), list[Segment]()
        for start, stop in pairwise(cuts):
            part = rows(start, stop, lost, first=7)
            if held is not None and start <= 7 < stop:
                part[7 - start] = held
            segments.append(checkpoints.append_rows(start, part))
        values: dict[str, Any] = {"interactions": 30, "replay_start": 7}
        checkpoints.save(30, Snapshot({"weight": torch.ones(2)}, values, tuple(segments)))
        return digest(checkpoints, checkpoints.load())

    one = of("one", [0, 30])
    assert of("lost rows differ", [0, 30], lost=-1.0) == one
    assert of("lost rows differ in two segments", [0, 5, 30], lost=3.5) == one
    assert of("lost rows are gone", [6, 30]) == one
    assert of("none is lost", [7, 30]) == one
    assert of("the oldest held row differs", [0, 30], held=0.5) != one
    assert of("the oldest held row is missing", [8, 30]) != one


def test_a_run_whose_ring_has_wrapped_has_the_digest_of_its_rows(tmp_path: Path) -> None:
    """Two runs of one state, of which one saved more often, and so wrote other segments."""
    often, session = begin(tmp_path / "often", *SHORT, "replay.capacity=40")
    train(session, Console(90, enabled=False))
    session.close()
    rarely, session = begin(tmp_path / "rarely", *SHORT, "replay.capacity=40", "checkpoint.every=90")
    train(session, Console(90, enabled=False))
    session.close()
    assert state_digest(often.path) == state_digest(rarely.path)
    names = [{path.name for path in (run.path / "replay").iterdir()} for run in (often, rarely)]
    assert names[0] != names[1]
    often.close()
    rarely.close()
