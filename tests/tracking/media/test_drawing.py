"""When the pictures of a run are drawn, and that nothing waits for it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from composer.tracking.media import drawing as module
from composer.tracking.media.drawing import EVERY_SECONDS, LAST_SECONDS, NOTE, Drawing


class World:
    """The clock, and processes that end when the test says so."""

    now = 1000.0
    ends_with: int | None = None
    refuses = False

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.killed = 0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    class Process:
        def __init__(self, command: list[str], **_: Any) -> None:
            if world.refuses:
                raise OSError("no memory")
            world.commands.append(command[4:])
            self.code: int | None = None

        def poll(self) -> int | None:
            return world.ends_with if self.code is None else self.code

        def wait(self, timeout: float | None = None) -> None:
            if self.poll() is None:
                assert timeout is not None
                world.now += timeout
                raise subprocess.TimeoutExpired("", timeout)

        def kill(self) -> None:
            self.code = -9
            world.killed += 1

    monkeypatch.setattr(module.time, "monotonic", lambda: world.now)
    monkeypatch.setattr(module.subprocess, "Popen", Process)
    return world


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "journal.jsonl").write_text("row\n")
    return tmp_path


def grow(run: Path) -> None:
    with (run / "journal.jsonl").open("a") as file:
        file.write("row\n")


def test_it_draws_at_the_start_then_rarely_and_only_what_is_new(world: World, run: Path) -> None:
    drawing = Drawing(run)
    drawing.poll()
    drawing.poll()
    assert world.commands == [[str(run), "--first"]]
    world.now, world.ends_with = world.now + 1, 0
    drawing.poll()
    grow(run)
    drawing.poll()
    assert len(world.commands) == 1
    world.now += EVERY_SECONDS
    drawing.poll()
    assert world.commands[1:] == [[str(run)]]
    world.now += EVERY_SECONDS
    drawing.poll()
    drawing.poll()
    assert len(world.commands) == 2, "nothing is new"
    assert drawing.note is None


def test_after_a_long_drawing_the_next_one_comes_later(world: World, run: Path) -> None:
    drawing = Drawing(run)
    drawing.poll()
    world.now, world.ends_with = world.now + 100, 0
    grow(run)
    for waited, drawn in ((0, 1), (EVERY_SECONDS, 1), (4_700, 1), (100, 2)):
        world.now += waited
        drawing.poll()
        assert len(world.commands) == drawn, waited


def test_the_end_draws_once_more_and_waits_a_stated_time_at_most(world: World, run: Path) -> None:
    drawing, began = Drawing(run), world.now
    drawing.poll()
    grow(run)
    drawing.finish()
    assert world.killed == 2 and world.now - began == pytest.approx(LAST_SECONDS)
    assert [len(command) for command in world.commands] == [2, 1]
    assert drawing.note == NOTE


def test_what_fails_is_a_note_and_drawn_the_next_time(world: World, run: Path) -> None:
    drawing = Drawing(run)
    world.refuses = True
    drawing.poll()
    assert drawing.note == NOTE
    world.refuses, world.ends_with = False, 0
    drawing.finish()
    assert drawing.note is None and world.commands == [[str(run), "--first"]]


def test_off_nothing_is_drawn(world: World, run: Path) -> None:
    drawing = Drawing(run, is_on=False)
    drawing.poll()
    drawing.finish()
    assert not world.commands
