"""The command line where the locale cannot express what is written: files in UTF-8, output replaced, no exception."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE, COMMAND, TINY, last_json

ASCII = {**ALONE, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SHORT = ("training.env_steps=100", "evaluation.every=100", "checkpoint.every=100")


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], env=ASCII | environment, capture_output=True, check=False)


@pytest.mark.slow
def test_a_run_is_written_in_utf_8_and_read_again(tmp_path: Path) -> None:
    """Alone trains under a locale that has ASCII alone."""
    blueprint = tmp_path / "Größe → ∞.toml"
    text = TINY.read_text(encoding="utf-8").replace('name = "tiny"', 'name = "tiny"\ndescription = "Größe → ∞"')
    blueprint.write_text(text, encoding="utf-8")
    trained = command("train", blueprint, *SHORT, "--runs", tmp_path / "Läufe", "--json")
    assert trained.returncode == 0, trained.stderr
    (run,) = (tmp_path / "Läufe").iterdir()
    assert run.name[0] != "."
    assert "Größe → ∞" in (run / "blueprint.toml").read_bytes().decode("utf-8")
    assert os.fsencode(last_json(trained.stdout.decode("ascii"))["run"]) == os.fsencode(run)
    for again in (("digest", run), ("check", run / "blueprint.toml"), ("show", run / "blueprint.toml")):
        found = command(*again)
        assert found.returncode == 0, found.stderr
    assert "Größe → ∞" in command("explain", blueprint, "description").stdout.decode("utf-8")


PRINTS = """
import sys
from composer.cli.answers import print_in_any_locale, say
print_in_any_locale()
print("a \\u2192 \\u221e \\udce9")
say("gr\\u00f6\\u00dfer \\ud800")
"""


@pytest.mark.parametrize(
    ("environment", "out"),
    [
        ({}, "a → ∞ \\udce9\n"),
        ({"PYTHONIOENCODING": "ascii"}, "a ? ? ?\n"),
        ({"PYTHONIOENCODING": "latin-1:strict"}, "a ? ? ?\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "a → ∞ ?\n"),
    ],
    ids=str,
)
def test_printing_never_raises(environment: dict[str, str], out: str) -> None:
    run = subprocess.run([sys.executable, "-c", PRINTS], env=ASCII | environment, capture_output=True, check=False)
    assert (run.returncode, run.stdout.decode("utf-8")) == (0, out), run.stderr


def test_a_terminal_without_a_character_shows_another(tmp_path: Path) -> None:
    """A terminal keeps its own encoding: what it lacks is replaced."""
    ours, theirs = os.openpty()
    run = subprocess.run([sys.executable, "-c", PRINTS], env=ASCII, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    assert run.returncode == 0
    assert os.read(ours, 1_000).decode("ascii").splitlines() == ["a ? ? ?", "gr??er ?"]
    os.close(ours)


def test_json_is_ascii(tmp_path: Path) -> None:
    name = "größe.toml"
    (tmp_path / name).write_text("x = 1", encoding="utf-8")
    found = command("check", tmp_path / name, "--json")
    assert found.returncode == 2
    assert os.fsencode(json.loads(found.stdout.decode("ascii"))["problems"][0]["file"]).endswith(name.encode())
