"""The file of the words: made once, used while the code is as it was, and completion imports nothing that is slow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE

from composer.cli.completion import keys, vocabulary

ASK = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = ["composer"]
from composer.cli import main
main()
"""


def test_words_are_made_once_and_anew_where_code_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = vocabulary.vocabulary()
    assert {"sac", "supervised"} <= {*first["algorithms"]} and {"walker-walk", "pong"} <= {*first["environments"]}
    assert {"residual", "blocks", "replay"} <= {*first["names"]} and "simba" in first["parts"]
    tasks = keys.words("environment.task=walker-w", first["schema"], {"environment": {"kind": "dm_control"}})
    assert tasks == ["environment.task=walker-walk"]
    made: list[str] = []
    monkeypatch.setattr(vocabulary, "_make", lambda stamp: made.append(stamp) or {**first, "stamp": stamp})
    assert vocabulary.vocabulary() == first and not made
    monkeypatch.setattr(vocabulary, "_stamp", lambda: "other code")
    assert vocabulary.vocabulary()["stamp"] == "other code" and made == ["other code"]
    (tmp_path / "composer" / "completion.json").write_text("[broken")
    vocabulary.vocabulary()
    assert len(made) == 2
    # One process asks bash's question with the file that is there.
    monkeypatch.undo()
    words = {"COMP_WORDS": "composer\ntrain\nquickstart\ntraining.env_st", "COMP_CWORD": "3"}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vocabulary, "_make", lambda stamp: {**first, "stamp": stamp})
    vocabulary.vocabulary()
    asked = {**ALONE, **words, "_COMPOSER_COMPLETE": "complete_bash", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=asked, check=True)
    assert done.stdout.split()[0] == "training.env_steps="
    slow = {"torch", "mlflow", "pandas", "numpy", "rich", "composer.blueprint", "gymnasium"}
    assert slow & {*done.stderr.split()} == set()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setattr(vocabulary, "_make", lambda stamp: {"stamp": stamp})
    assert set(vocabulary.vocabulary()) == {"stamp"}
