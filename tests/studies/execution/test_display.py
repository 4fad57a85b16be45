"""What people see of a study: one table on a terminal, few lines elsewhere."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from composer.studies.execution import display
from composer.studies.execution.display import Lines, LiveTable, duration, summary, table, watching
from composer.studies.execution.progress import Overview, Progress, Status
from composer.tracking.journal import Journal


def overview() -> Overview:
    """200 runs of 1,000 steps, of which two processes have trained 40 at 100 steps per second each."""
    running = [Status(f"width={each}", "running", 1_000, 250, [12.345], 7.5) for each in range(2)]
    ended = [
        Status("width=7", "failed", 1_000, 100, message="no disk"),
        Status("width=8", "diverged", 1_000, 300),
        *(Status(f"done={each}", "finished", 1_000, 1_000, [40.0, 50.0, 60.0], seeds=3) for each in range(38)),
    ]
    waiting = [Status(f"later={each}", "waiting", 1_000) for each in range(158)]
    return Overview([*running, *ended, *waiting], [(250, 2.5)] * 2 + [(1_000, 10.0)] * 38, 2)


def drawn(height: int) -> list[str]:
    """The lines of the table on a terminal of 100 columns."""
    return on_terminal(overview(), height)


def on_terminal(whole: Overview, height: int, width: int = 100) -> list[str]:
    """The lines of the table."""
    terminal = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with terminal.capture() as capture:
        terminal.print(table(whole, height, width))
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def test_a_table_shows_what_runs_and_what_failed_and_counts_the_rest() -> None:
    lines = drawn(10)
    assert len(lines) == 12
    assert lines[0].split() == ["run", "state", "done", "seeds", "return", "±95%", "t", "left"]
    assert lines[1].split()[:2] == ["width=0", "running"]
    assert lines[1].split()[-4:] == ["25%", "1", "12.3", "0:00:08"]
    assert [line.split()[:2] for line in lines[3:5]] == [["width=7", "failed"], ["width=8", "diverged"]]
    assert [line.split()[0] for line in lines[5:11]] == [f"done={each}" for each in range(32, 38)]
    assert lines[10].split()[-4:] == ["100%", "3", "50.0", "±24.8"]
    assert lines[11] == "38 finished, 2 running, 158 waiting, 1 diverged, 1 failed of 200; about 0:13:18 left"
    short = drawn(3)
    assert [line.split()[0] for line in short[1:4]] == ["width=0", "width=1", "width=7"]
    assert len(short) == 5 and short[4].startswith("and 1 more; 38 finished")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_long_names_lose_their_middle_and_numbers_stay_whole(width: int) -> None:
    name = f"width=1, {'ratio=2, ' * 20}resets=true on humanoid-run"
    runs = [Status(name, "elsewhere", 100_000_000, 25_000_000, [12.345], 360_000.0)] * 40
    lines = on_terminal(Overview(runs, [], 1), 20, width)
    assert len(lines) == 22 and max(map(len, lines)) <= width and lines[-1].startswith("and 20 more; 40 elsewhere")
    assert "…" in lines[1] and lines[1].startswith("width=1") and "-run  elsewhere" in lines[1]
    assert lines[1].split()[-4:] == ["25%", "1", "12.3", "100:00:00"]


def test_the_time_left_is_that_of_the_work_over_the_processes() -> None:
    whole = overview()
    assert whole.seconds_left == pytest.approx((158 * 10 + 2 * 7.5) / 2)
    alone = Overview([Status("a", "running", 1_000, 10, seconds_left=99.0)], [(10, 1.0)], 8)
    assert alone.seconds_left == 99.0
    unknown = Overview([Status("a", "waiting", 1_000)], [(0, 0.0)], 8)
    assert math.isnan(unknown.seconds_left) and summary(unknown) == "1 waiting of 1"
    assert duration(3_661) == "1:01:01"


def test_lines_are_one_for_each_event_and_one_a_minute_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with watching(said.append) as watch:
        assert isinstance(watch, Lines)
        watch.event("a: training")
        for now[0] in range(0, 121, 20):
            if watch.is_due():
                watch.show(overview())
    assert said == ["a: training", *[summary(overview())] * 2]


def test_on_a_terminal_events_are_in_the_table_and_notes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    said: list[str] = []
    with watching(said.append) as watch:
        assert isinstance(watch, LiveTable)
        watch.event("a: training")
        watch.note("[a]: failed (exit code 7)")
        watch.show(overview())
        assert not watch.is_due()
    assert said == [] and "a: training" not in screen.getvalue()
    assert "[a]: failed (exit code 7)" in screen.getvalue() and "158 waiting" in screen.getvalue()


def test_progress_follows_a_journal_also_when_a_resume_cuts_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    progress = Progress(tmp_path, "evaluation/return")
    progress.read()
    assert progress.done == 0 and math.isnan(progress.last_return)
    timing = Journal(tmp_path / "timing.jsonl", lambda: 1_000.0)
    timing.append({"type": "timing", "env_step": 40, "seed": None, "metrics": {}, "seconds_left": 90.0})
    timing.close()
    progress.read_times()
    assert progress.seconds_left(1_030.0) == 60.0  # What the run itself expects.
    journal = Journal(tmp_path / "journal.jsonl")
    for seed, value in ((0, 1.0), (1, 3.0)):
        journal.append({"type": "metrics", "env_step": 50, "seed": seed, "metrics": {"evaluation/return": value}})
    offset = journal.flush()
    progress.read()
    assert (progress.done, progress.last_return) == (50, 2.0)
    journal.append({"type": "metrics", "env_step": 100, "seed": 0, "metrics": {"evaluation/return": 9.0}})
    journal.close()
    progress.read()
    assert (progress.done, progress.last_return) == (100, 9.0)
    Journal.resume(tmp_path / "journal.jsonl", offset).close()
    progress.read()
    assert (progress.done, progress.last_return) == (50, 2.0)
