"""Death at moments that nobody chose, and SIGTERM, against the command line as users run it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ALONE, COMMAND, TINY, dies, finished, last_json, rows, state_digest

SHORT = ("evaluation.every=80", "evaluation.episodes=1", "checkpoint.every=200", "training.log_every=40")
"""An evaluation, and with it a line on standard error, every ten decisions."""
Whole = tuple[str, bytes]
TERMINATED = """
import os, signal
from composer.cli import main
from composer.tracking.console import Console

evaluation = Console.evaluation

def terminated(self, *arguments):
    evaluation(self, *arguments)
    os.kill(os.getpid(), signal.SIGTERM)

Console.evaluation = terminated
main()
"""
"""The command line, which is sent SIGTERM after each evaluation."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a run of this process leaves that nobody has killed."""
    run, _ = finished(tmp_path_factory.mktemp("whole"), *SHORT)
    return state_digest(run), (run / "journal.jsonl").read_bytes()


def check(run: Path, whole: Whole) -> None:
    assert (state_digest(run), (run / "journal.jsonl").read_bytes()) == whole
    keys = [(row["env_step"], row["seed"], *row["metrics"]) for row in rows(run)]
    assert len(keys) == len(set(keys))
    assert [row["seq"] for row in rows(run)] == list(range(1, len(keys) + 1))


def kill_and_resume(kills: int, runs: Path, draws: random.Random) -> Path:
    """A run that is killed so many times at random moments of its training, then left to end."""
    begin = ("train", str(TINY), *SHORT, "--runs", str(runs))
    arguments, killed, longest = begin, 0, 1.0
    while killed < kills:
        if dies(draws.uniform(0.01, 1.0) * longest, *arguments):
            killed += 1
            (run,) = runs.iterdir()
            arguments = ("resume", str(run))
        else:  # This machine is faster: once more, with shorter lives.
            shutil.rmtree(runs)
            arguments, killed, longest = begin, 0, longest / 2
    done = subprocess.run([*COMMAND, *arguments, "--json"], capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 0, done.stderr
    assert last_json(done.stdout)["status"] == "finished"
    (run,) = runs.iterdir()
    return run


@pytest.mark.slow
def test_killed_again_and_again(whole: Whole, tmp_path: Path) -> None:
    """Kills may fall before the first checkpoint and within saves; progress is certain only from one to the next."""
    check(kill_and_resume(5, tmp_path / "runs", random.Random(1)), whole)


@pytest.mark.slow
def test_sigterm_saves_says_so_and_leaves_143(whole: Whole, tmp_path: Path) -> None:
    """Alone sends SIGTERM to the command as users run it."""
    command = [sys.executable, "-c", TERMINATED, "train", str(TINY), *SHORT, "--runs", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 143, done.stderr
    (run,) = tmp_path.iterdir()
    answer = last_json(done.stdout)
    assert answer["status"] == "interrupted"
    assert answer["exit_code"] == 143
    assert answer["run"] == str(run)
    assert done.stderr.splitlines()[-1] == f"go on with: composer resume {run}"
    step = max(json.loads(path.read_text())["step"] for path in run.glob("checkpoints/*/manifest.json"))
    assert f"interrupted (SIGTERM) and saved at environment step {step:,}" in done.stderr
    done = subprocess.run([*COMMAND, "resume", str(run)], capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 0, done.stderr
    check(run, whole)
