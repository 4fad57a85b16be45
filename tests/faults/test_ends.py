"""Every way in which a run can end badly: its exit code, its last line, and that what was saved is good."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import DRIFT, TINY, as_if_begun_elsewhere, begin, finished, last_json, state_digest, stopped
from typer.testing import CliRunner

from composer.cli import app
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import open_run

SHORT = ("training.env_steps=100", "evaluation.every=100", "checkpoint.every=10", "training.log_every=20")
Invoke = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    """Run a command here: exit code, what it printed as JSON, what it said to people."""

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        result = CliRunner().invoke(app, [*arguments, "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, last_json(result.stdout), result.stderr

    return run


@pytest.fixture
def train(invoke: Invoke, tmp_path: Path) -> Invoke:
    """``composer train`` of the tiny experiment into ``runs``."""
    return lambda *changes: invoke("train", str(TINY), DRIFT, *SHORT, *changes, "--runs", str(tmp_path / "runs"))


@pytest.fixture
def halted(tmp_path: Path) -> Path:
    """A run that was stopped at step 56."""
    return stopped(*begin(tmp_path / "runs", DRIFT, *SHORT), at=55)


def only_run(tmp_path: Path) -> Path:
    (run,) = (tmp_path / "runs").iterdir()
    return run


def test_divergence_is_5_and_leaves_a_finite_checkpoint(train: Invoke, tmp_path: Path) -> None:
    code, answer, said = train("optimizers.critic.learning_rate=1e30")
    run = only_run(tmp_path)
    assert (code, answer["status"], answer["exit_code"]) == (5, "failed", 5)
    assert said.splitlines()[-1] == f"go on with: composer resume {run}"
    snapshot = Checkpoints(run).load()
    assert snapshot.skipped == []
    assert 0 < snapshot.values["interactions"] <= 60
    assert all(t.isfinite().all() for t in snapshot.tensors.values() if t.is_floating_point())


def test_a_loss_that_is_not_finite_is_named_with_its_seed(train: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from composer.training.learner import Learner

    drain = Learner.drain_signals

    def spoilt(self: Learner) -> list[dict[str, float]]:
        rows = drain(self)
        return [row | {"critic/loss": float("nan")} if row and seed else row for seed, row in enumerate(rows)]

    monkeypatch.setattr(Learner, "drain_signals", spoilt)
    code, answer, _ = train("seeds=[3, 4]")
    assert code == 5
    assert answer["message"].startswith("critic/loss of seed 4 is nan at environment step 60")


def test_an_environment_that_raises_is_6_with_what_it_did(train: Invoke, tmp_path: Path) -> None:
    code, answer, _ = train('environment={ kind = "test/drift", raises_at = 63 }')
    assert (code, answer["status"]) == (6, "failed")
    for part in ("environment 0 (episode", "under action [", "ZeroDivisionError", "no mass"):
        assert part in answer["message"]
    assert Checkpoints(only_run(tmp_path)).load().values["interactions"] == 62  # All but the one that failed.


def test_a_full_disk_is_7_and_the_run_goes_on_later(
    train: Invoke, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    from composer.training.runs import state_files

    save, calls = state_files.save_file, []

    def full(tensors: Any, path: Path) -> None:
        calls.append(path)
        if len(calls) >= 10:
            path.write_bytes(b"half")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save(tensors, path)

    with monkeypatch.context() as disk:
        disk.setattr("composer.training.runs.state_files.save_file", full)
        code, answer, _ = train()
    run = only_run(tmp_path)
    assert (code, answer["status"]) == (7, "failed")
    assert "No space left on device" in answer["message"]
    assert Checkpoints(run).load().values["interactions"] == 40
    assert invoke("resume", str(run))[0] == 0
    other, _ = finished(tmp_path / "other", DRIFT, *SHORT)
    assert state_digest(run) == state_digest(other)
    assert (run / "journal.jsonl").read_bytes() == (other / "journal.jsonl").read_bytes()


def test_a_journal_that_cannot_be_written_is_7_too(
    train: Invoke, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = os.pwrite, []

    def full(file: int, data: Any, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data, offset)

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        code, answer, _ = train()
    run = only_run(tmp_path)
    assert (code, answer["run"]) == (7, str(run))
    assert "No space left on device" in answer["message"]
    assert invoke("resume", str(run))[0] == 0


@pytest.mark.parametrize("where", ["file", "under a file", "/proc/runs"])
def test_a_place_that_cannot_be_written_is_3(where: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = {"file": tmp_path / "file", "under a file": tmp_path / "file" / "runs"}.get(where, Path(where))
    code, answer, _ = invoke("train", str(TINY), DRIFT, "--runs", str(place))
    assert code == 3
    assert answer["message"].startswith(f"cannot write {place} (")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_3(invoke: Invoke, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    code, answer, _ = invoke("train", str(TINY), DRIFT, "--runs", str(tmp_path / "runs"))
    assert (code, answer["message"]) == (3, f"cannot write {tmp_path / 'runs'} (Permission denied)")


def test_a_run_that_is_held_is_3_with_its_holder(halted: Path, invoke: Invoke) -> None:
    run = open_run(halted)
    code, answer, _ = invoke("resume", str(halted))
    run.close()
    assert (code, answer["message"]) == (3, f"{halted} is in use by process {os.getpid()}")
    assert invoke("resume", str(halted))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.json", "blueprint.toml", "journal.jsonl"])
@pytest.mark.parametrize("command", ["resume", "evaluate", "digest"])
def test_a_run_without_its_files_is_3(name: str, command: str, halted: Path, invoke: Invoke) -> None:
    """Alone tries every command with every missing file."""
    (halted / name).unlink()
    if (command, name) in [("evaluate", "journal.jsonl"), ("digest", "journal.jsonl"), ("digest", "blueprint.toml")]:
        return  # These read what they need and no more.
    code, answer, _ = invoke(command, str(halted))
    assert code == 3
    assert name in answer["message"]


def test_no_run_at_all_is_3(invoke: Invoke, tmp_path: Path) -> None:
    code, answer, _ = invoke("resume", str(tmp_path / "nothing"))
    assert (code, "is no run directory" in answer["message"]) == (3, True)


@pytest.mark.parametrize("command", ["resume", "evaluate", "digest"])
def test_no_good_checkpoint_is_4_and_never_a_new_beginning(command: str, halted: Path, invoke: Invoke) -> None:
    for state in halted.glob("checkpoints/*/state.json"):
        state.write_text("{}")
    before = (halted / "journal.jsonl").read_bytes()
    code, answer, _ = invoke(command, str(halted))
    assert code == 4
    assert answer["message"].count("state.json: its size is not the one in the manifest") == 2
    assert (halted / "journal.jsonl").read_bytes() == before


def test_other_circumstances_are_2_unless_inexact(halted: Path, invoke: Invoke) -> None:
    as_if_begun_elsewhere(halted, threads=5)
    code, answer, _ = invoke("resume", str(halted))
    assert (code, "threads: 5 then, 1 now" in answer["message"]) == (2, True)
    code, answer, said = invoke("resume", str(halted), "--inexact")
    assert (code, answer["status"]) == (0, "finished")
    assert "resumed inexactly: threads: 5 then, 1 now" in said


@pytest.mark.parametrize("change", ["kind = 'os.system'", "import = 'os'"])
def test_a_blueprint_that_was_tampered_with_is_2(change: str, halted: Path, invoke: Invoke) -> None:
    path = halted / "blueprint.toml"
    path.write_text(path.read_text().replace('kind = "rs_norm"', change))
    code, answer, _ = invoke("resume", str(halted))
    assert code == 2
    assert "normalization.observation" in answer["message"]


def test_a_tracking_store_that_is_refused_is_2_before_anything_is_made(
    train: Invoke, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://user:hunter2@host/x")
    code, answer, said = train('tracking={ kind = "mlflow" }')
    assert code == 2
    assert "MLFLOW_TRACKING_URI" in answer["message"]
    assert "hunter2" not in answer["message"] + said
    assert not (tmp_path / "runs").exists()


def test_sending_a_run_that_was_never_tracked_is_2(halted: Path) -> None:
    result = CliRunner().invoke(app, ["sync", str(halted)])
    assert result.exit_code == 2
    assert "not tracked" in result.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_2(train: Invoke, tmp_path: Path) -> None:
    code, answer, _ = train("compute.device=cuda")
    assert (code, answer["message"]) == (2, "compute.device is 'cuda', but torch sees no GPU here")
    assert not (tmp_path / "runs").exists()


def test_no_memory_is_7(train: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("composer.training.learner.Learner.learn", starve)
    code, answer, _ = train()
    assert (code, answer["message"].splitlines()[0]) == (7, "CUDA out of memory")


def test_a_second_ctrl_c_is_130_at_once(train: Invoke, invoke: Invoke, tmp_path: Path, monkeypatch: Any) -> None:
    def impatient(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as hand:
        hand.setattr("composer.training.learner.Learner.learn", impatient)
        code, answer, said = train()
    assert (code, answer["status"]) == (130, "failed")
    assert "go on with: composer resume" in said
    assert invoke("resume", str(only_run(tmp_path)))[0] == 0


def test_a_failed_beginning_leaves_nothing_half_made(
    train: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("composer.training.runs.directory.write_text", full)
    code, answer, _ = train()
    assert (code, answer["message"]) == (3, f"cannot write {tmp_path / 'runs'} (No space left on device)")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_copied_run_is_a_run(halted: Path, invoke: Invoke, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(halted, tmp_path / "elsewhere"))
    assert invoke("resume", str(copy))[0] == 0
    assert invoke("resume", str(halted))[0] == 0
    assert state_digest(copy) == state_digest(halted)
