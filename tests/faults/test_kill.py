"""SIGKILL at moments that nobody chose, and SIGTERM, against the command line as users run it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tiny_runs import ALONE, COMMAND, TINY, finished, last_json, rows, state_digest

SHORT = ("evaluation.every=80", "evaluation.episodes=1", "checkpoint.every=200", "training.log_every=40")
"""An evaluation, and with it a line on standard error, every ten decisions."""
Whole = tuple[str, bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a run of this process leaves that nobody has killed."""
    run, _ = finished(tmp_path_factory.mktemp("whole"), *SHORT)
    return state_digest(run), (run / "journal.jsonl").read_bytes()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ALONE
    )


def strike(process: subprocess.Popen[str], number: int, lines: int, delay: float) -> bool:
    """Send a signal some time after so many evaluations; whether the process was still there to get it."""
    assert process.stderr is not None
    seen = 0
    while seen < lines and (line := process.stderr.readline()):
        seen += " steps (" in line
    with suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    process.send_signal(number)
    process.communicate()
    return process.returncode == -number


def check(run: Path, whole: Whole) -> None:
    assert (state_digest(run), (run / "journal.jsonl").read_bytes()) == whole
    keys = [(row["env_step"], row["seed"], *row["metrics"]) for row in rows(run)]
    assert len(keys) == len(set(keys))
    assert [row["seq"] for row in rows(run)] == list(range(1, len(keys) + 1))


def kill_and_resume(kills: int, runs: Path, draws: random.Random) -> Path:
    """A run that is killed so many times at random moments, then left to end."""
    process = start("train", str(TINY), *SHORT, "--runs", str(runs))
    killed = 0
    while killed < kills:
        died = strike(process, signal.SIGKILL, lines=draws.randint(1, 4), delay=draws.uniform(0, 0.2))
        assert died, "the run ended before it could be killed so often"
        killed += 1
        (run,) = runs.iterdir()
        process = start("resume", str(run))
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert last_json(output)["status"] == "finished"
    (run,) = runs.iterdir()
    return run


@pytest.mark.slow
def test_killed_again_and_again(whole: Whole, tmp_path: Path) -> None:
    """Kills may fall before the first checkpoint and within saves; progress is certain only from one to the next."""
    check(kill_and_resume(5, tmp_path, random.Random(1)), whole)


@pytest.mark.slow
def test_sigterm_saves_says_so_and_leaves_143(whole: Whole, tmp_path: Path) -> None:
    """Alone sends SIGTERM to the command as users run it."""
    process = start("train", str(TINY), *SHORT, "--runs", str(tmp_path))
    assert process.stderr is not None and process.stdout is not None
    while " steps (" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    (run,) = tmp_path.iterdir()
    answer = last_json(output)
    assert answer["status"] == "interrupted"
    assert answer["exit_code"] == 143
    assert answer["run"] == str(run)
    assert errors.splitlines()[-1] == f"go on with: composer resume {run}"
    step = max(json.loads(path.read_text())["step"] for path in run.glob("checkpoints/*/manifest.json"))
    assert f"interrupted (SIGTERM) and saved at environment step {step:,}" in errors
    process = start("resume", str(run))
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    check(run, whole)
