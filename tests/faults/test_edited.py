"""A run whose settings were edited: refused key by key, by every command that would use other settings."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import DRIFT, EVENTFUL, as_if_begun_elsewhere, begin, last_json, resumed, state_digest, stopped
from typer.testing import CliRunner

from composer.cli import app
from composer.training import assemble
from composer.training.runs.edited import RunEdited


def edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1, pattern
    path.write_text(text)


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    answer = last_json(result.stdout)
    assert (result.exit_code, answer["exit_code"]) == (2, 2), result.output
    return str(answer["message"])


def test_an_edited_blueprint_is_refused_key_by_key(copy: Path) -> None:
    journal, digest = (copy / "journal.jsonl").read_bytes(), state_digest(copy)
    edit(copy / "blueprint.toml", r"learning_rate = 0\.001", "learning_rate = 0.01")
    edit(copy / "blueprint.toml", r"update_to_data = 0\.6", "update_to_data = 0.7")
    message = refused("resume", str(copy))
    assert f"{copy}/blueprint.toml was edited since the run began" in message
    assert "\n  algorithm.update_to_data: 0.6 → 0.7\n" in message
    assert "\n  optimizers.actor.learning_rate: 0.001 → 0.01\n" in message
    assert f"composer fork {copy} 'algorithm.update_to_data=0.7' 'optimizers.actor.learning_rate=0.01'" in message
    assert refused("resume", str(copy), "--inexact") == message
    assert ((copy / "journal.jsonl").read_bytes(), state_digest(copy)) == (journal, digest)


EDITS: dict[str, Callable[[str], str]] = {
    "a key that changes the numbers alone": lambda text: text.replace('precision = "float32"', 'precision = "bf16"'),
    "a key that is no part of the digest": lambda text: text.replace('compile = "never"', 'compile = "always"'),
    "a key that was removed": lambda text: text.replace("n_step = 2\n", ""),
    "a key that was added": lambda text: text.replace("[penalties]", "[penalties.l2]\nkind = 'l2'\ncoefficient = 1.0"),
    "another type of the same number": lambda text: text.replace("every = 60", "every = 60.0"),
    "another list": lambda text: text.replace("    5,\n", "    6,\n"),
}


@pytest.mark.parametrize("name", EDITS)
def test_whatever_was_edited_is_found(name: str, copy: Path) -> None:
    path = copy / "blueprint.toml"
    text = path.read_text()
    path.write_text(EDITS[name](text))
    assert path.read_text() != text
    with pytest.raises(RunEdited, match=r"blueprint\.toml was edited since the run began:\n  [a-z_.\[\]0-9]+: .* → "):
        assemble.resume(copy)


@pytest.mark.parametrize("command", ["evaluate", "fork", "doctor", "resume"])
def test_no_command_uses_other_settings(command: str, copy: Path) -> None:
    edit(copy / "blueprint.toml", r"discount = 0\.\d+|learning_rate = 0\.001", "learning_rate = 0.01")
    assert "blueprint.toml was edited since the run began" in refused(command, str(copy))
    assert not list(copy.parent.glob("tiny-*"))


def test_other_words_for_the_same_settings_are_no_edit(whole: tuple[str, bytes], copy: Path) -> None:
    path = copy / "blueprint.toml"
    path.write_text("# a comment\n" + path.read_text().replace("0.001", "1e-3 # the same"))
    edit(path, r'description = ".*"', 'description = "what I think of it now"')
    assert path.read_text().count("the same")
    assert resumed(copy).is_dir()


@pytest.mark.parametrize(
    ("pattern", "replacement", "shown"),
    [
        (r'"compiled": false', '"compiled": true', "compiled: false → true"),
        (r'"torch": "[^"]*"', '"torch": "1.0"', 'fingerprint.torch: ".*" → "1.0"'),
        (r'"learning_rate": 0\.001', '"learning_rate": 0.01', r"blueprint\.\S*learning_rate: 0.001 → 0.01"),
    ],
)
def test_an_edited_run_json_is_refused(pattern: str, replacement: str, shown: str, copy: Path) -> None:
    path = copy / "run.json"
    edit(path, pattern, replacement)
    for command in ("resume", "evaluate", "digest", "fork"):
        assert f"{path} was edited or damaged: its SHA-256" in refused(command, str(copy))
    # And where its hash was made anew: every checkpoint has a copy.
    from composer.training.runs.edited import sealed

    facts = json.loads(path.read_text())
    path.write_text(json.dumps(sealed(facts, facts["blueprint"])))
    if "blueprint" in shown:
        edit(copy / "blueprint.toml", r"learning_rate = 0\.001", "learning_rate = 0.01")
    with pytest.raises(RunEdited, match=rf"was written under other settings.*\n  {shown}"):
        assemble.resume(copy)


def test_a_checkpoint_of_another_run_is_refused(copy: Path, tmp_path: Path) -> None:
    other = stopped(*begin(tmp_path / "other", *EVENTFUL, "optimizers.critic.learning_rate=0.002"), at=90)
    for folder in ("checkpoints", "replay"):
        shutil.rmtree(copy / folder)
        shutil.copytree(other / folder, copy / folder)
    with pytest.raises(RunEdited, match=r"belongs to another run:\n(.|\n)*learning_rate: 0\.002 → 0\.001"):
        assemble.resume(copy)


def test_a_run_without_its_blueprint_is_3(copy: Path) -> None:
    (copy / "blueprint.toml").unlink()
    result = CliRunner().invoke(app, ["resume", str(copy), "--json"])
    assert (result.exit_code, "blueprint.toml" in last_json(result.stdout)["message"]) == (3, True)


def test_an_edit_before_the_first_checkpoint_is_found_too(tmp_path: Path) -> None:
    run, session = begin(tmp_path, DRIFT)
    session.close()
    run.close()
    edit(run.path / "blueprint.toml", r"learning_rate = 0\.001", "learning_rate = 0.01")
    with pytest.raises(RunEdited, match=r"learning_rate: 0\.001 → 0\.01"):
        assemble.resume(run.path)


def test_a_run_that_began_elsewhere_is_no_edited_one(copy: Path) -> None:
    as_if_begun_elsewhere(copy, torch="1.0")
    with pytest.raises(assemble.NotTheSame, match=r"torch: 1\.0 then"):
        assemble.resume(copy)
