"""A plug-in's environment: every command that reads knows it; training is killed and resumes to the same bits."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from commands import COMMAND, KILLED_AFTER_ITS_FIRST_CHECKPOINT, answer, run

from composer.tracking.journal import read

SLIDER = '{ kind = "acme/slider", limit = 12, action_repeat = 2, copies = 2, workers = 1 }'


@pytest.fixture
def slider(waves: Path) -> Path:
    """The plug-in's agent in the plug-in's environment."""
    text = waves.read_text()
    theirs = '{ kind = "dm_control", task = "cartpole-swingup", action_repeat = 8 }'
    assert theirs in text
    text = text.replace(theirs, SLIDER).replace("checkpoint = { every = 400 }", "checkpoint = { every = 200 }")
    waves.write_text(text)
    return waves


@pytest.mark.slow
def test_training_in_it_is_killed_and_ends_as_if_it_had_not_been(site: Path, slider: Path, tmp_path: Path) -> None:
    """Alone trains in a plug-in's environment by the commands, kills the run and resumes it."""
    whole = answer("train", slider, "--runs", tmp_path / "whole", site=site)
    assert (whole["status"], whole["env_steps"]) == ("finished", 400)
    killed = run(KILLED_AFTER_ITS_FIRST_CHECKPOINT, "train", slider, "--runs", tmp_path / "killed", site=site)
    assert killed.returncode == -signal.SIGKILL
    (path,) = (tmp_path / "killed").iterdir()
    assert answer("resume", path, site=site)["status"] == "finished"
    digests = [answer("digest", each, site=site)["digest"] for each in (whole["run"], path)]
    assert digests[0] == digests[1]
    metrics = [row["metrics"] for row in read(path / "journal.jsonl") if row["type"] == "metrics"]
    assert any("evaluation/balance" in row for row in metrics), "the metric that it declares"
    (returns,) = answer("evaluate", path, "--episodes", 3, site=site)["episodes"]
    assert len(returns) == 3


def test_reading_commands_know_it(site: Path, slider: Path) -> None:
    shown = run(COMMAND, "show", slider, site=site)
    assert shown.returncode == 0, shown.stderr
    assert "acme/slider action_repeat 2, copies 2, workers 1, limit 12: [2] → [1]" in " ".join(shown.stdout.split())
    assert "6 interactions at most" in shown.stdout
    advice = run(COMMAND, "lint", slider, site=site)
    assert "replay.capacity: keeps 100 of the run's 200 transitions" in advice.stdout
    slider.write_text(slider.read_text().replace("workers = 1", "workers = 3"))
    refused = run(COMMAND, "check", slider, site=site)
    assert "environment.workers: 3 workers for 2 environments (copies x seeds)" in refused.stdout
