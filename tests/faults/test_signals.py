"""What environments and terminals do to the process of a run: signals, handlers, failures, a sudden end."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_rollouts
from tiny_runs import (
    DRIFT,
    EVENTFUL,
    TINY,
    DriftSingle,
    begin,
    finished,
    go_on,
    last_json,
    result,
    resumed,
    rows,
    stopped,
)
from typer.testing import CliRunner

from composer.cli import app
from composer.environments.interface import EnvironmentFailure
from composer.tracking.console import Console
from composer.training import assemble
from composer.training.interrupts import Interrupted, Interrupts
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints
from composer.training.runs.directory import Run, holder, open_run
from composer.training.session import Session

Begin = Callable[..., tuple[Run, Session]]
OVERLAPPED = "training.overlap=true"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_every_signal_that_ends_a_session_saves(number: int, whole: tuple[str, bytes], tmp_path: Path) -> None:
    before = signal.getsignal(number)
    run = stopped(*begin(tmp_path, *EVENTFUL), at=30, number=number)
    assert Checkpoints(run).steps() == [31]
    assert signal.getsignal(number) is before
    assert result(resumed(run)) == whole


def test_a_hangup_that_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert (interrupts.requested, interrupts.keep()) == (None, [])
    finally:
        signal.signal(signal.SIGHUP, before)


class Broken(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_keeps_nothing_from_being_saved(tmp_path: Path) -> None:
    class Closed(Console):
        def update(self, env_step: int, updates: int) -> None:
            if env_step == 59:  # The next interaction has an evaluation, which is shown.
                os.kill(os.getpid(), signal.SIGHUP)

    run, session = begin(tmp_path, *EVENTFUL)
    with pytest.raises(Interrupted):
        train(session, Closed(140, stream=Broken()))
    assert Checkpoints(run.path).steps() == [40, 60]
    session.close()
    run.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("when", ["step", "reset", "close"])
def test_handlers_that_an_environment_takes_are_taken_back_and_said(
    number: int, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, stream = getattr(DriftSingle, when), io.StringIO()
    theirs: list[int] = []

    def takes(self: DriftSingle, *arguments: Any) -> Any:
        signal.signal(number, lambda *_: theirs.append(number))
        return real(self, *arguments)

    monkeypatch.setattr(DriftSingle, when, takes)

    class Sends(Console):
        def update(self, env_step: int, updates: int) -> None:
            if env_step == 31:
                os.kill(os.getpid(), number)

    run, session = begin(tmp_path, *EVENTFUL)
    with pytest.raises(Interrupted):
        train(session, Sends(140, stream=stream))
    assert (Checkpoints(run.path).steps(), theirs) == ([32], [])
    assert (f"had taken {signal.Signals(number).name}" in stream.getvalue()) == (when != "close")
    session.close()
    run.close()


def fails_once(monkeypatch: pytest.MonkeyPatch, method: str, at: int, how: Callable[[], Any]) -> None:
    """``DriftSingle`` fails in its call number ``at`` of a method, of all of them together, and never again."""
    real, calls = getattr(DriftSingle, method), 0

    def fails(self: DriftSingle, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            how()
        return real(self, *arguments)

    monkeypatch.setattr(DriftSingle, method, fails)


def breaks() -> None:
    raise ZeroDivisionError("no mass")


FAILURES: dict[str, tuple[str, int, Callable[[], Any]]] = {
    "a step while warming up": ("step", 41, breaks),
    "a step of the second seed": ("step", 96, breaks),
    "a reset at the end of an episode": ("reset", 5, breaks),
    "a picture of the state": ("observe", 70, breaks),
    "os._exit": ("step", 96, lambda: os._exit(0)),
    "an evaluation": ("step", 150, breaks),
    "a reset of an evaluation": ("reset", 9, breaks),
    "the last evaluation": ("step", 410, breaks),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_environment_costs_nothing(
    name: str, whole: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        fails_once(failing, *FAILURES[name])
        run, session = begin(tmp_path, *EVENTFUL)
        with pytest.raises(EnvironmentFailure):
            train(session, Console(140, enabled=False))
        assert session.saved_failure
        assert Checkpoints(run.path).steps()[-1] == session.clock.env_steps
        if "evaluation" in name:
            assert session.clock.env_steps == (140 if "last" in name else 60)
        session.close()
        run.close()
    assert result(resumed(run.path)) == whole


def test_a_failed_rollout_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = tiny_rollouts.tiny()
    run, session = assemble.start(blueprint, tmp_path / "whole", None)
    go_on(session)
    run.close()
    calls, single = 0, blueprint.environment.single  # type: ignore[attr-defined]
    real = type(single()).step

    def fails(self: Any, action: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 21:
            breaks()
        return real(self, action)

    other, session = assemble.start(blueprint, tmp_path / "failed", None)
    with monkeypatch.context() as failing:
        failing.setattr(type(single()), "step", fails)
        with pytest.raises(EnvironmentFailure):
            train(session, Console(1, enabled=False))
    assert session.saved_failure
    session.close()
    other.close()
    assert result(resumed(other.path)) == result(run.path)


def test_where_updates_run_beside_the_step_the_last_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = finished(tmp_path / "whole", *EVENTFUL, OVERLAPPED)
    with monkeypatch.context() as failing:
        fails_once(failing, "step", 130, breaks)
        other, session = begin(tmp_path / "failed", *EVENTFUL, OVERLAPPED)
        with pytest.raises(EnvironmentFailure):
            train(session, Console(140, enabled=False))
    assert (session.saved_failure, Checkpoints(other.path).steps()) == (False, [40])
    session.close()
    other.close()
    assert result(resumed(other.path)) == result(run)


def test_the_command_says_where_it_saved(tmp_path: Path) -> None:
    declared = 'environment={ kind = "test/drift", raises_at = 63 }'
    short = ("training.env_steps=100", "checkpoint.every=50", "evaluation.every=100")
    answer = CliRunner().invoke(app, ["train", str(TINY), declared, *short, "--runs", str(tmp_path), "--json"])
    assert answer.exit_code == 6
    said = last_json(answer.stdout)["message"]
    assert "no mass" in said and "\nsaved at environment step 62, before the failure\ngo on with: " in said


def test_a_run_that_ended_without_a_word_is_told_of(halted: Path, copy: Path) -> None:
    assert holder(copy) == ("", False)
    (copy / "lock").write_text("4711")  # As after SIGKILL, a crash of native code, or _exit in one.
    assert holder(copy) == ("4711", False)
    run, session, notes = assemble.resume(copy)
    assert holder(copy) == (str(os.getpid()), True)
    (note,) = notes
    assert note.startswith("process 4711, which trained this run, ended without a word after environment step 90")
    session.close()
    run.close()
    assert (open_run(copy).died, holder(copy)[1]) == ("", True)


def test_a_child_of_the_process_may_end_itself() -> None:
    with Interrupts():
        child = os.fork()
        if child == 0:
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.fixture
def unseeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment whose episodes follow from more than their seeds."""
    real, counts = DriftSingle.reset, iter(range(10**6))

    def reset(self: DriftSingle, seed: int) -> None:
        real(self, seed)
        self._x += next(counts) * 1e-3

    monkeypatch.setattr(DriftSingle, "reset", reset)


@pytest.mark.usefixtures("unseeded")
def test_a_run_that_does_not_follow_its_seed_is_resumed_inexactly(tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, *EVENTFUL), at=90)
    answer = CliRunner().invoke(app, ["resume", str(run), "--json"])
    said = last_json(answer.stdout)["message"]
    assert answer.exit_code == 6
    assert "do not follow from seed and actions alone: two replays of the" in said
    assert "composer resume --inexact begins new episodes" in said and "CPU" not in said
    answer = CliRunner().invoke(app, ["resume", str(run), "--inexact", "--json"])
    assert (answer.exit_code, last_json(answer.stdout)["status"]) == (0, "finished")
    assert "resumed inexactly: new episodes are begun: environment 0" in answer.stderr
    (event,) = [row for row in rows(run) if row.get("name") == "resumed_inexactly"]
    assert event["env_step"] == 91 and "do not follow from seed" in event["reasons"][0]


@pytest.mark.usefixtures("unseeded")
def test_no_window_crosses_from_the_old_episode_into_the_new_one(tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, *EVENTFUL), at=90)
    opened, session, _ = assemble.resume(run, inexact=True)
    ring = session.collector.replay
    last = ring._held(90, 91)  # type: ignore[attr-defined]
    assert ring.ended(last.expand(2, -1)).tolist() == [[1.0], [1.0]]  # type: ignore[attr-defined]
    run = stopped(opened, session, at=93)
    # The rows on disk were written before: the cut is a part of the state.
    opened, session, _ = assemble.resume(run, inexact=True)
    ring = session.collector.replay
    ends = ring.ended(ring._held(88, 94).expand(2, -1))  # type: ignore[attr-defined]
    assert ends[:, 2].tolist() == [1.0, 1.0] and ends[:, 5].tolist() == [1.0, 1.0]
    session.close()
    opened.close()


def test_another_build_is_not_blamed_on_the_seed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = DriftSingle.reset

    def reset(self: DriftSingle, seed: int) -> None:
        real(self, seed)
        self._x += 1e-3

    monkeypatch.setattr(DriftSingle, "reset", reset)
    with pytest.raises(EnvironmentFailure, match="twice to the same place: the environment follows something beside"):
        assemble.resume(copy)


@pytest.mark.usefixtures("unseeded")
def test_a_fork_of_such_a_run_begins_new_episodes_and_says_so(tmp_path: Path) -> None:
    run = stopped(*begin(tmp_path, *EVENTFUL), at=90)
    answer = CliRunner().invoke(app, ["fork", str(run), "--json"])
    assert answer.exit_code == 0, answer.output
    assert "new episodes are begun: environment 0" in answer.stderr
    (event,) = [row for row in rows(Path(last_json(answer.stdout)["run"])) if row.get("name") == "fork"]
    assert "do not follow from seed" in event["restarted"]


def test_a_wandering_environment_that_fails_under_replayed_actions_is_restarted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(*begin(tmp_path, DRIFT, "training.env_steps=60"), at=20)
    fails_once(monkeypatch, "step", 5, breaks)
    opened, session, notes = assemble.resume(run, inexact=True)
    assert "no mass" in notes[0]
    go_on(session)
    opened.close()
