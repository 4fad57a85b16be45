"""A sweep outlives its members, and a member outlives its sweep: nothing is trained twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import ALONE, COMMAND, DRIFT, TINY, begin, go_on, last_json, state_digest, stopped

from composer.studies.execution import driver, worker
from composer.studies.execution.directories import RunDirectories, chosen
from composer.studies.execution.stopping import StudyStopped, raising_on_signals
from composer.studies.sweep import SweepRun, finished, planned_runs, sweep
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import open_run

SHORT = (DRIFT, "training.env_steps=100", "training.log_every=50", "evaluation.every=100", "checkpoint.every=50")
VARIANTS = (
    "[variants.slow.optimizers.critic]\nlearning_rate = 1e-4\n[variants.fast.optimizers.critic]\nlearning_rate = 1e-2\n"
)
ECHO = "import json, sys; print(json.dumps({'status': 'finished', 'run': ' '.join(sys.argv[2:])}))"
"""A member that answers with its arguments."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(TINY.read_text() + VARIANTS)
    return path


def swept(study: Path, *variants: str, jobs: int = 1) -> tuple[list[dict[str, Any]], list[str]]:
    said: list[str] = []
    table = sweep(study, SHORT, variants, study.parent / "runs", jobs, said.append)
    return table["runs"], said


def half_trained(runs: Path, planned: SweepRun) -> Path | None:
    """The run of these settings that is taken up where it was saved."""
    directories = RunDirectories(runs)
    directories.refresh()
    found = chosen(directories.find(planned.digest, planned.blueprint.training.env_steps, {}))
    return found.path if found is not None and found.state == "begun" and Checkpoints(found.path).steps() else None


DEATHS = {
    "prints and dies": ("print('episode 7'); import os; sys.stdout.flush(); os._exit(3)", 3, "(exit code 3)"),
    "prints what looks like an answer": (
        "print('{\"loss\": 1}'); print('[1]'); print('{'); sys.exit(1)",
        1,
        "exit code 1",
    ),
    "ends as if all were well": ("pass", 1, "ended without a word (exit code 0)"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", 137, "(SIGKILL)"),
    "crashes": ("import faulthandler as f; f.enable(); f._sigsegv()", 139, "Fatal Python error: Segmentation fault"),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_member_that_dies_is_a_row_and_not_the_end(name: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies, code, message = DEATHS[name]
    monkeypatch.setattr(worker, "PROGRAM", f"import sys\nif 'slow' in sys.argv:\n    {dies}\nelse:\n    {ECHO}")
    rows, _ = swept(study, "base", "slow", "fast")
    assert [row["status"] for row in rows] == ["finished", "failed", "finished"]
    assert (rows[1]["exit_code"], message in rows[1]["message"]) == (code, True), rows[1]


def test_what_a_member_prints_around_its_answer_is_no_answer(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = f"print('before'); print('{{}}'); {ECHO}; print('after'); print('{{\"loss\": 1}}')"
    monkeypatch.setattr(worker, "PROGRAM", noisy)
    rows, _ = swept(study, "base")
    assert (rows[0]["status"], rows[0]["exit_code"]) == ("finished", 0)


def test_a_half_trained_run_is_resumed_and_others_begin(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = study.parent / "runs"
    half = stopped(*begin(runs, *SHORT), at=60)
    base, slow = planned_runs(study, SHORT, ["base", "slow"])
    assert (half_trained(runs, base), half_trained(runs, slow), finished(runs, base)) == (half, None, None)
    monkeypatch.setattr(worker, "PROGRAM", ECHO)
    rows, said = swept(study, "base", "slow")
    assert rows[0]["run"] == f"resume {half} --json"
    assert rows[1]["run"].startswith(f"train {study} ") and f"base: continuing {half}" in said


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_run_that_cannot_be_resumed_is_begun_anew(code: int, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(*begin(study.parent / "runs", *SHORT), at=60)
    refuses = f"print(json.dumps({{'status': 'failed', 'message': 'no', 'exit_code': {code}}}))"
    program = f"import json, sys\nif 'resume' in sys.argv:\n    {refuses}\nelse:\n    {ECHO}"
    monkeypatch.setattr(worker, "PROGRAM", program)
    rows, said = swept(study, "base")
    assert rows[0]["run"].startswith("train ") and "base: no; it is begun anew" in said


def test_other_settings_forks_and_runs_beside_others_are_not_continued(study: Path) -> None:
    runs = study.parent / "runs"
    (base,) = planned_runs(study, SHORT, ["base"])
    stopped(*begin(runs, *SHORT, "algorithm.batch_size=16"), at=60)
    run, session = begin(runs, *SHORT)
    session.close()
    run.close()  # Without a checkpoint there is nothing to continue.
    assert half_trained(runs, base) is None


def test_a_run_that_another_process_trains_is_waited_for(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = stopped(*begin(study.parent / "runs", *SHORT), at=60)
    held = open_run(half)
    monkeypatch.setattr(worker, "PROGRAM", ECHO)
    monkeypatch.setattr(driver, "WAITING_SECONDS", 0.01)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            held.close()

    sweep(study, SHORT, ["base"], study.parent / "runs", 1, say)
    assert [line for line in said if "warning" not in line][:2] == [
        f"base: waiting for process {os.getpid()}, which trains {half}",
        f"base: continuing {half}",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_the_sweep_with_a_sentence(number: int) -> None:
    outer = signal.getsignal(number)
    if number == signal.SIGINT:  # A suite in the background of a shell is started with it ignored.
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    try:
        with pytest.raises(StudyStopped, match="the same command again continues them") as stop, raising_on_signals():
            os.kill(os.getpid(), number)
            signal.pause()
        assert stop.value.exit_code == 128 + number
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, outer)


def test_a_run_whose_last_evaluation_failed_is_not_finished(study: Path) -> None:
    runs = study.parent / "runs"
    (base,) = planned_runs(study, SHORT, ["base"])
    run, session = begin(runs, *SHORT)
    go_on(session)
    run.close()
    assert finished(runs, base) == run.path
    (state,) = [path for path in run.path.glob("checkpoints/step-*/state.json") if "100" in path.parent.name]
    state.write_text(json.dumps(json.loads(state.read_text()) | {"is_evaluating": True}))
    assert finished(runs, base) is None and half_trained(runs, base) == run.path


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_study_whose_driver_ends_continues_its_runs(number: int, study: Path, tmp_path: Path) -> None:
    """Alone kills the driver of a sweep; its members save themselves, and the next sweep continues them."""
    runs = tmp_path / "runs"
    long = ("training.env_steps=40_000", "evaluation.every=40_000", "checkpoint.every=40_000", "training.log_every=8")
    command = [*COMMAND, "sweep", str(study), *long, "--variant", "base", "--runs", str(runs), "--json"]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ALONE)
    while not any(path.stat().st_size for path in runs.glob("*/journal.jsonl")):
        time.sleep(0.02)
    driver.send_signal(number)
    output, _ = driver.communicate()
    if number == signal.SIGTERM:
        assert (driver.returncode, last_json(output)["exit_code"]) == (143, 143)
    (run,) = runs.iterdir()
    held = None
    while held is None:  # Until the member has saved itself.
        try:
            held = open_run(run)
        except Exception:
            time.sleep(0.02)
    assert held.died == "" and Checkpoints(run).steps()
    held.close()
    (base,) = planned_runs(study, long, ["base"])
    assert half_trained(runs, base) == run and state_digest(run)


PRINTS = """
import atexit, os, sys
import gymnasium, numpy

keeps = sys.stdout
atexit.register(lambda: print("at the end", flush=True))
print("while it is imported")


class Walk(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), numpy.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), numpy.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        print("reset")
        return numpy.zeros(3, numpy.float32), {}

    def step(self, action):
        print("step", end="")
        keeps.write("to the stream that it knew")
        os.write(1, b"from code that is not Python's")
        return numpy.zeros(3, numpy.float32), 0.0, False, False, {}


gymnasium.register("prints/Walk-v0", entry_point=Walk, max_episode_steps=10)
"""


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_what_an_environment_prints_never_touches_the_answer(command: str, tmp_path: Path) -> None:
    (tmp_path / "prints_a_lot.py").write_text(PRINTS)
    declared = 'environment={ kind = "gymnasium", module = "prints_a_lot", id = "prints/Walk-v0" }'
    arguments = [str(TINY), declared, "training.env_steps=20", "evaluation.episodes=1", "--runs", str(tmp_path / "r")]
    path = f"{ALONE['PYTHONPATH']}{os.pathsep}{tmp_path}"
    environment = {**ALONE, "PYTHONPATH": path, "COMPOSER_ALLOW_MODULE": "prints_a_lot"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", COMMAND[2], *arguments, "--json"]
        return subprocess.run(program, capture_output=True, text=True, env=environment, check=False)

    done = run("train", *arguments)
    assert done.returncode == 0, done.stderr
    if command == "evaluate":
        done = run("evaluate", json.loads(done.stdout)["run"], "--episodes", "1")
    assert json.loads(done.stdout)["run"] and done.stdout.count("\n") == 1
    for said in ("reset", "step", "to the stream that it knew", "not Python's", "at the end"):
        assert said in done.stderr
