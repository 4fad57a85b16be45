"""Exact resumption: a run that was stopped and one that was not end in the same state, with the same journal."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from tiny_runs import EVENTFUL, as_if_begun_elsewhere, begin, finished, interactions, result, resumed, stopped

from composer.tracking.console import Console
from composer.tracking.journal import JournalError, read
from composer.training import assemble
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import RunUnusable, open_run


@pytest.mark.parametrize("at", [12, 80, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 50, 79, 137))])
def test_stopped_by_sigterm_and_resumed_is_as_if_never_stopped(
    at: int, whole: tuple[str, bytes], tmp_path: Path
) -> None:
    """Before the first update, in the middle of an episode, next to a checkpoint, with a wrapped ring."""
    run = stopped(*begin(tmp_path, *EVENTFUL), at=at)
    assert Checkpoints(run).steps()[-1] == at + 1
    assert result(resumed(run)) == whole


def test_stopped_again_and_again(whole: tuple[str, bytes], tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, *EVENTFUL), at=9)
    for at in (11, 23, 66, 68, 120):
        opened, parts, _ = assemble.resume(run)
        stopped(opened, parts, at)
    assert result(resumed(run)) == whole


def test_a_simulator_goes_on_within_an_episode(tmp_path: Path) -> None:
    short = ["training.env_steps=640", "evaluation.every=640", "evaluation.episodes=1", "environment.copies=2"]
    run, _ = finished(tmp_path, *short)
    other = stopped(*begin(tmp_path, *short), at=480)
    assert result(resumed(other)) == result(run)


def test_a_finished_run_is_resumed_by_doing_nothing(whole: tuple[str, bytes], tmp_path: Path) -> None:
    run, parts = finished(tmp_path, *EVENTFUL)
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    opened, again, notes = assemble.resume(run)
    opened.close()
    again.close()
    assert notes == []
    assert again.returns == parts.returns
    resumed(run)
    assert {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")} == before
    assert result(run) == whole


def test_without_a_checkpoint_the_run_starts_anew_and_says_so(whole: tuple[str, bytes], tmp_path: Path) -> None:
    run, parts = begin(tmp_path, *EVENTFUL)
    for number, _ in enumerate(interactions(parts)):
        if number == 35:
            break
    parts.record("metrics", seed=0, metrics={"critic/loss": 1.0})
    parts.close()
    run.close()
    run, parts, notes = assemble.resume(run.path)
    assert notes == ["no checkpoint had been written yet: starting from step 0"]
    parts.close()
    # And where the journal was not there yet, either.
    for journal in ("journal.jsonl", "timing.jsonl"):
        (run.path / journal).unlink()
    run.close()
    assert result(resumed(run.path)) == whole


def test_a_damaged_checkpoint_is_skipped_said_and_lived_through_again(whole: tuple[str, bytes], copy: Path) -> None:
    newest = copy / "checkpoints" / "step-000000000091" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    run, parts, notes = assemble.resume(copy)
    (note,) = notes
    assert note.startswith(f"skipped a damaged checkpoint: {newest}: its size")
    assert parts.clock.env_steps == 80
    # The future that the damaged one held is gone: it would not fit the journal, which is cut.
    assert Checkpoints(copy).steps() == [80]
    stopped(run, parts, at=85)
    assert Checkpoints(copy).steps() == [80, 86]
    assert result(resumed(copy)) == whole


def test_rows_written_after_the_checkpoint_are_cut_from_the_journal(whole: tuple[str, bytes], copy: Path) -> None:
    """What a kill leaves: rows of a future that is lived again, and half a row."""
    journal = copy / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(whole[1][journal.stat().st_size :][:700])
    with (copy / "timing.jsonl").open("ab") as file:
        file.write(b'12345678 {"seq":')
    assert result(resumed(copy)) == whole
    reader = read(copy / "timing.jsonl")
    numbers = [row["seq"] for row in reader]
    assert reader.problem is None
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("damage", ["missing", "short", "flipped"])
def test_a_damaged_journal_is_refused_and_left_alone(damage: str, copy: Path) -> None:
    journal = copy / "journal.jsonl"
    text = journal.read_bytes()
    journal.unlink() if damage == "missing" else journal.write_bytes(
        text[:-5] if damage == "short" else text[:100] + b"#" + text[101:]
    )
    before = journal.read_bytes() if journal.exists() else None
    with pytest.raises(JournalError, match=r"journal\.jsonl"):
        assemble.resume(copy)
    assert (journal.read_bytes() if journal.exists() else None) == before


def test_a_run_is_held_by_one_process(copy: Path) -> None:
    run = open_run(copy)
    with pytest.raises(RunUnusable, match=f"in use by process {os.getpid()}"):
        assemble.resume(copy)
    run.close()
    open_run(copy).close()


def test_other_threads_are_refused_unless_inexact(copy: Path) -> None:
    # An eager run's numbers follow from no library of products: one that names it has been elsewhere.
    as_if_begun_elsewhere(copy, threads=7, torch="1.0", products="oneDNN")
    with pytest.raises(
        assemble.NotTheSame, match=r"torch: 1\.0 then, .*threads: 7 then, 1 now; products: oneDNN then, None now"
    ):
        assemble.resume(copy)
    # The refusal holds no lock and cuts no journal.
    run, parts, notes = assemble.resume(copy, inexact=True)
    assert [note.split(":")[1].strip() for note in notes] == ["torch", "threads", "products"]
    parts.close()
    run.close()


class Died(BaseException):
    """In the place of SIGKILL, inside this process: nothing after it is done."""


@pytest.mark.parametrize(
    ("target", "number"),
    [
        (
            "composer.training.runs.checkpoint.Checkpoints.save",
            3,
        ),  # Between the replay rows and the state that knows them.
        ("composer.training.runs.checkpoint.flush_to_disk", 4),
        ("composer.training.runs.state_folder.flush_to_disk", 8),
        ("composer.training.runs.best.BestAgents.prune", 3),  # After a new best, before the journal knows it.
        ("composer.training.session.Session.record", 9),
        # After the rename, before pruning; and in other places.
        *(
            pytest.param(target, number, marks=pytest.mark.slow)
            for target, number in (
                ("composer.training.runs.checkpoint.verified", 2),
                ("composer.training.runs.checkpoint.Checkpoints._prune", 3),
                ("composer.training.runs.state_folder.flush_to_disk", 11),
                ("composer.training.runs.checkpoint.write_tensors", 3),
                ("composer.training.runs.state_folder.write_tensors", 4),
                ("composer.replay.vectors.VectorRing.add", 101),
            )
        ),
    ],
)
def test_dying_at_any_point_of_a_save_loses_nothing(
    target: str, number: int, whole: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the quick ones, other moments of a save."""
    run, parts = begin(tmp_path, *EVENTFUL)
    calls = 0
    real = resolve_name(target)

    def die(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Died
        return real(*args, **kwargs)

    monkeypatch.setattr(target, die)
    with pytest.raises(Died):
        train(parts, Console(1, enabled=False))
    monkeypatch.undo()
    # As after SIGKILL: what waited in memory is gone, nothing is flushed or closed in order.
    os.close(parts.journal._file)
    os.close(parts.timing._file)
    run.close()
    assert result(resumed(run.path)) == whole


def test_signals_get_their_former_handlers_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stopped(*begin(tmp_path, *EVENTFUL), at=5)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
