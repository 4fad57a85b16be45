"""A compiler that is there and fails: the update goes on eagerly and says so, or the run ends with one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import ALONE, COMMAND, DRIFT, TINY, finished, last_json, learner, resumed, rows, state_digest, tiny
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.compile_worker.subproc_pool import SubprocException
from torch._inductor.exc import CppCompileError

from composer.studies import bench
from composer.tracking.console import Console
from composer.training.assemble import new_run
from composer.training.compile import compiler
from composer.training.compile.capture import Choice, Unavailable, choose
from composer.training.compile.first_call import CompileFailed, cause, compilers_limited
from composer.training.compile_ahead import example
from composer.training.compile_measured import calibrate
from composer.training.loop import train

OMP = "a.cpp:1:10: fatal error: omp.h: No such file or directory\ncompilation terminated."
FAKES = {
    "no header": (f"echo '{OMP}' >&2; exit 1", "fails: fatal error: omp.h: No such file or directory"),
    "silent": ("exit 1", "fails: it said nothing"),
    "no library": ("exit 0", "what CXX compiles cannot be loaded: OSError"),
    "not a library": ('for last; do :; done; echo text > "$last"', "what CXX compiles cannot be loaded: OSError"),
    "hangs": ("sleep 1000 & wait", "has not answered for 1 seconds"),
    "full disk": ("echo 'cc1plus: No space left on device'; exit 1", "fails: cc1plus: No space left on device"),
    "in another language": ("printf 'gro\\337er Fehler\\n'; exit 1", "fails: gro\ufffder Fehler"),
    "killed": ("kill -9 $$", "fails: it said nothing"),
}


def fake(tmp_path: Path, script: str) -> Path:
    """A compiler that does what the script says."""
    path = tmp_path / "g++"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def untried() -> Any:
    compiler._tried.cache_clear()
    yield
    compiler._tried.cache_clear()


@pytest.mark.parametrize("kind", FAKES)
def test_a_compiler_that_fails_is_found_before_the_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, words = FAKES[kind]
    path = fake(tmp_path, script)
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.setattr(compiler, "PROBE_SECONDS", 1.0 if kind == "hangs" else 60.0)
    words = words.replace("CXX", str(path))
    choice = choose("auto", "cpu", 10**9)
    assert not choice.compiled and choice.failed is not None
    assert choice.failed.startswith((f"{path} {words}", words)), choice.failed
    assert choice.reason == f"it could not be compiled: {choice.failed}"
    with pytest.raises(Unavailable, match=r"compute.compile is 'always', but ") as refused:
        choose("always", "cpu", 1)
    assert "\n" not in str(refused.value)
    assert choose("auto", "cpu", 1).failed is None  # What is not compiled anyway needs no compiler.
    measured = calibrate(lambda choice: learner(choice=choice), tiny(DRIFT).environment.info, "cpu")
    assert measured.failed == choice.failed


def test_a_compiler_that_works_has_no_problem() -> None:
    assert compiler.compiler_problem() is None


def in_a_subprocess(details: str) -> SubprocException:
    return SubprocException(f'Traceback (most recent call last):\n  File "a.py", line 1\n{details}\n', "kernel")


ERRORS = {
    "the compiler": (CppCompileError(["g++", "-o", "a.so"], OMP), "g++: fatal error: omp.h: No such file or directory"),
    "wrapped": (BackendCompilerFailed(print, CppCompileError(["g++"], OMP), None), "g++: fatal error: omp.h"),
    "a child": (subprocess.CalledProcessError(1, ["g++", "-v"], OMP.encode()), "g++: fatal error: omp.h"),
    "full disk": (
        OSError(28, "No space left on device", "/cache/a.cpp"),
        "OSError: [Errno 28] No space left on device",
    ),
    "unloadable": (OSError("a.so: file too short"), "OSError: a.so: file too short"),
    "a subprocess": (in_a_subprocess("RuntimeError: no"), "RuntimeError: no"),
    "an assertion": (AssertionError(), "AssertionError: "),
    "read only": (PermissionError(13, "Permission denied"), "PermissionError: [Errno 13] Permission denied"),
}


def broken(error: BaseException) -> Callable[..., Any]:
    """Stands for ``torch.compile``: what it compiles spoils its state, then raises."""

    def compile_(function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def call(*inputs: torch.Tensor) -> None:
            function(*inputs)
            raise error

        return call

    return compile_


@pytest.mark.parametrize("kind", ERRORS)
def test_what_went_wrong_is_one_line(kind: str) -> None:
    error, words = ERRORS[kind]
    assert cause(error).startswith(words) and "\n" not in cause(error)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_run_whose_update_cannot_be_compiled_equals_an_eager_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, words = ERRORS[kind]
    short = (DRIFT, "training.env_steps=120", "training.log_every=20", "evaluation.every=60", "checkpoint.every=60")
    plain, _ = finished(tmp_path / "eager", *short)
    monkeypatch.setattr(torch, "compile", broken(error))
    said: list[str] = []
    monkeypatch.setattr(new_run, "choose_compilation", lambda *_: Choice(True, "it repays", falls_back=True))
    run, session = new_run.start(tiny(*short), tmp_path / "runs", None)
    session.say = said.append
    train(session, Console(1, False))
    session.close()
    run.close()
    facts = json.loads((run.path / "run.json").read_text())
    assert facts["compiled"] is False and words in facts["compile_reason"]
    eager = json.loads((plain / "run.json").read_text())
    assert facts["hash"] == eager["hash"] and facts["fingerprint"] == eager["fingerprint"]
    (event,) = [row for row in rows(run.path) if row["type"] == "event"]
    assert event["name"] == "compiled" and words in event["failed"]
    assert len(said) == 1 and words in said[0]
    assert metrics(run.path) == metrics(plain)
    assert state_digest(resumed(run.path)) == state_digest(plain)


def metrics(path: Path) -> list[Any]:
    return [(row["env_step"], row["seed"], row["metrics"]) for row in rows(path) if row["type"] == "metrics"]


def test_always_ends_with_one_sentence_and_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken(OSError(28, "No space left on device")))
    agent = learner(choice=Choice(True, "always"))
    before = {name: value.detach().clone() for name, value in agent.tensors().items()}
    with pytest.raises(CompileFailed, match=r"compiling the update fails: OSError: .*No space left") as failed:
        agent.update(*example(agent, tiny(DRIFT).environment.info))
    assert failed.value.exit_code == 7
    assert all(torch.equal(value, before[name]) for name, value in agent.tensors().items())


def test_measuring_and_benchmarking_go_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken(OSError(28, "No space left on device")))
    monkeypatch.setattr(compiler, "compiler_problem", lambda: None)
    found = calibrate(lambda choice: learner(choice=choice), tiny(DRIFT).environment.info, "cpu")
    assert not found.compiled and found.failed and "No space left" in found.failed
    said: list[str] = []
    table = bench.bench(tiny(DRIFT), [1], 0.01, said.append)
    assert [row["compiled"] for row in table["rows"]] == [False] and "No space left" in table["not_compiled"]


def test_a_compiler_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    path = fake(tmp_path, "sleep 1000")
    began = time.monotonic()
    process = subprocess.Popen([str(path)], stdout=subprocess.PIPE)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with compilers_limited(0.2, poll=0.05):
        process.communicate()  # Until the pipe is closed by all of them.
    assert time.monotonic() - began < 300 and process.returncode != 0
    assert other.poll() is None  # Other children are none of its business.
    other.communicate(b"\n")


@pytest.mark.slow
def test_a_run_under_auto_tells_in_json_that_it_is_eager(tmp_path: Path) -> None:
    """Alone lets inductor call a compiler that fails only there."""
    script = 'case "$*" in *probe.cpp*|--version*) exec /usr/bin/g++ "$@";; esac\n' + f"echo '{OMP}' >&2; exit 1"
    fake(tmp_path, script)
    environment = {
        **ALONE,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "COMPOSER_CACHE": str(tmp_path / "c"),
    }
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    for mode, code in (("always", 7), ("background", 0)):
        command = [*COMMAND, "train", str(TINY), f'compute.compile="{mode}"', "training.env_steps=800", "--json"]
        run = subprocess.run(
            [*command, "--runs", str(tmp_path / mode)], env=environment, capture_output=True, text=True, check=False
        )
        answer = last_json(run.stdout)
        assert run.returncode == code and "Traceback" not in run.stderr, run.stderr
        if code:
            assert answer["message"].startswith("compiling the update fails: ") and "omp.h" in answer["message"]
            assert answer["message"].endswith("--inexact")
