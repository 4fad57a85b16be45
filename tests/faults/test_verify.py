"""``composer verify``, and that damage is told of and never paid for with what is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import DRIFT, begin, last_json, result, resumed, state_digest, stopped
from typer.testing import CliRunner

from composer.cli import app
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.loop import train
from composer.training.runs.checkpoint import CheckpointDamaged, Checkpoints, OtherFormat
from composer.training.runs.disk import seal


def command(*arguments: str) -> tuple[int, dict[str, Any], str]:
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, last_json(found.stdout), found.stderr


def content(run: Path) -> dict[str, bytes]:
    return {str(file.relative_to(run)): file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}


def test_a_sound_run_is_sound_and_left_alone(copy: Path) -> None:
    before = content(copy)
    code, answer, said = command("verify", str(copy))
    assert (code, answer["status"], answer["damages"], answer["notes"]) == (0, "sound", [], [])
    assert answer["checkpoints"] == [80, 91] == Checkpoints(copy).steps()
    assert said == f"{copy} is sound; sound checkpoints: 80, 91\n"
    assert content(copy) == before


def test_every_file_with_a_flipped_bit_is_named(copy: Path) -> None:
    whole = content(copy)
    checked = 0
    for name, data in whole.items():
        if name in ("lock", "saved") or not data:
            continue
        path = copy / name
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :])
        code, answer, said = command("verify", str(copy))
        assert (code, answer["status"], answer["exit_code"]) == (4, "damaged", 4), name
        assert any(str(copy) in line and path.name in line for line in answer["damages"]), (name, answer["damages"])
        assert f"damaged: {answer['damages'][0].splitlines()[0]}" in said
        path.write_bytes(data)
        checked += 1
    assert checked >= 10
    assert command("verify", str(copy))[0] == 0


@pytest.mark.parametrize("name", ["blueprint.toml", "journal.jsonl", "checkpoints", "replay", "parameters.json"])
def test_a_missing_file_is_named(name: str, copy: Path) -> None:
    path = copy / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, answer, _ = command("verify", str(copy))
    assert code == 4
    assert any(name in line for line in answer["damages"])


def test_what_a_kill_leaves_behind_is_no_damage(copy: Path) -> None:
    with (copy / "journal.jsonl").open("ab") as file:
        file.write(b'12345678 {"seq":')
    (copy / "replay" / "rows-000000000091-000000000095.safetensors").write_bytes(b"written before the kill")
    code, answer, _ = command("verify", str(copy))
    assert (code, len(answer["notes"])) == (0, 2)
    (copy / "run.json").unlink()
    assert command("verify", str(copy))[0] == 3


@pytest.mark.parametrize("which", ["digest", "evaluate"])
def test_a_command_tells_which_checkpoint_it_used(which: str, copy: Path) -> None:
    (newest := copy / "checkpoints" / "step-000000000091" / "state.json").write_text("{}")
    used = copy / "checkpoints" / "step-000000000080"
    code, answer, said = command(which, str(copy))
    assert (code, answer["checkpoint"]) == (0, str(used))
    assert answer["damaged"] == [f"{newest}: its size is not the one in the manifest"]
    assert f"damaged: {answer['damaged'][0]}\nused instead: {used}" in said
    newest.unlink()
    assert "No such file" in command(which, str(copy))[1]["damaged"][0]
    shutil.rmtree(newest.parent)  # Moved away on purpose: nothing to tell.
    assert command(which, str(copy))[1]["damaged"] == []


@pytest.mark.parametrize("how", ["folder", "each", "replay too"])
def test_lost_checkpoints_never_cost_the_journal(how: str, copy: Path) -> None:
    for folder in [copy / "checkpoints", *((copy / "replay",) if how == "replay too" else ())]:
        for each in list(folder.iterdir()) if how == "each" else [folder]:
            shutil.rmtree(each)
    before = content(copy)
    for options in ((), ("--inexact",)):
        code, answer, _ = command("resume", str(copy), *options)
        assert code == 4
        assert "though one was saved: its journal goes up to environment step 90" in answer["message"]
    assert content(copy) | {"lock": b""} == before | {"lock": b""}
    (copy / "saved").unlink()  # A run of an older version, or a copy without it: the journal proves it.
    assert command("resume", str(copy))[0] == 4


def test_a_run_that_saved_on_a_signal_before_its_first_checkpoint_is_not_begun_anew(tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, DRIFT), at=10)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointDamaged, match="though one was saved"):
        assemble.resume(run)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    short = (DRIFT, "training.env_steps=60", "checkpoint.every=60", "training.log_every=10", "evaluation.every=20")

    class Killed(Console):
        def update(self, env_step: int, updates: int) -> None:
            if env_step == 45:
                raise KeyboardInterrupt

    run, session = begin(tmp_path / "killed", *short)
    with pytest.raises(KeyboardInterrupt):
        train(session, Killed(60, enabled=False))
    session.journal.close()
    session.close()
    run.close()
    assert (run.path / "journal.jsonl").stat().st_size > 0
    other, whole = begin(tmp_path / "whole", *short)
    train(whole, Console(60, enabled=False))
    whole.close()
    other.close()
    assert result(resumed(run.path)) == result(other.path)


def reseal(path: Path, **changes: Any) -> None:
    manifest = json.loads(path.read_text()) | changes
    del manifest["sha256"]
    path.write_text(json.dumps(manifest | {"sha256": seal(manifest)}))


@pytest.mark.parametrize("how", ["resealed", "sealed in another way", "without a seal", "another layout"])
def test_a_checkpoint_of_a_newer_format_is_refused_and_kept(how: str, copy: Path) -> None:
    path = copy / "checkpoints" / "step-000000000091" / "manifest.json"
    table = json.loads(path.read_text()) | {"format": 2}
    if how == "resealed":
        reseal(path, format=2)
    elif how == "another layout":
        path.write_text(json.dumps({"format": 2, "sha256": "", "shards": ["a", "b"]}))
    else:
        table["sha256"] = "blake3:00"
        path.write_text(json.dumps({k: v for k, v in table.items() if how != "without a seal" or k != "sha256"}))
    before = content(copy)
    for which in ("resume", "evaluate", "digest", "fork", "verify"):
        code, answer, said = command(which, str(copy))
        assert code == 4, which
        assert "format 2, this composer reads 1" in str(answer) + said
    assert content(copy) | {"lock": b""} == before | {"lock": b""}


def test_a_newer_format_is_never_pruned(copy: Path) -> None:
    folder = copy / "checkpoints"
    old = folder / "step-000000000010"
    shutil.copytree(folder / "step-000000000080", old)
    reseal(old / "manifest.json", format=2)
    segments = {path.name for path in (copy / "replay").iterdir()}
    run = resumed(copy)
    assert old.is_dir() and segments <= {path.name for path in (run / "replay").iterdir()}
    with pytest.raises(OtherFormat, match="the checkpoint is kept"):
        Checkpoints(run).load(10)
    assert state_digest(run)
