"""Stages of a start: each has its line in a pipe, one line that is overwritten on a terminal."""

import io

import pytest

from composer.spec.stages import Stages, finished, make_room, stage, telling


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def start(stages: Stages, times: list[float]) -> str:
    stages.begin("importing torch")
    times[0] += 2.5
    stages.begin("importing torch")
    stages.line("agent on task")
    stages.begin("building networks")
    times[0] += 0.5
    stages.begin("importing torch")
    times[0] += 1.0
    return stages.finish()


def test_a_pipe_has_a_line_for_each_stage() -> None:
    stream, times = io.StringIO(), [0.0]
    assert start(Stages(stream, lambda: times[0]), times) == "ready after 4.0 s (importing torch 3.5 s)"
    assert stream.getvalue().splitlines() == [
        "importing torch", "agent on task", "building networks", "importing torch",
    ]  # fmt: skip


def test_a_terminal_has_one_line_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream, times = Terminal(), [0.0]
    start(Stages(stream, lambda: times[0]), times)
    shown = [line.rpartition("\x1b[2K")[2] for line in stream.getvalue().split("\n")]
    assert shown == ["agent on task", ""]
    assert "building networks ..." in stream.getvalue()


def test_nothing_is_told_unless_a_command_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    stage("importing torch")
    make_room()
    assert finished() == ""
    with telling() as stages:
        stage("reading")
        stages.line("a line")
    stage("importing torch")
    assert capsys.readouterr().err.splitlines() == ["reading", "a line"]
