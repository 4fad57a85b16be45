"""The console: plain lines where there is no terminal, one live line where there is, and nothing when switched off."""

import io
import math
import re
import time

import pytest

from composer.spec.metrics import Metric
from composer.tracking.console import Console

RETURN = Metric("evaluation/return", "", "return", 0.0, 1000.0)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def afternoon() -> float:
    """Twenty past one on a Sunday, where these tests run."""
    return time.mktime((2026, 3, 1, 13, 20, 0, 0, 0, -1))


def run(console: Console, clock: Clock) -> None:
    """A run of 10,000 steps at 100 a second, which gives an update a step, evaluated twice."""
    began = clock.now
    console.left = lambda: 100 - (clock.now - began)
    for env_step in range(100, 10_001, 100):
        clock.now += 1.0
        console.update(env_step, env_step)
        if env_step % 5000 == 0:
            console.evaluation(env_step, {0: env_step / 100, 1: env_step / 50})
    console.result({}, "", RETURN, None, clock.now - began)


def test_a_pipe_gets_a_line_every_30_seconds_and_at_every_evaluation() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(10_000, stream=stream, clock=clock, wall=lambda: afternoon() + clock.now - 100) as console:
        console.note("checkpoint at step 0")
        run(console, clock)
    assert stream.getvalue().splitlines() == [
        "checkpoint at step 0",
        "3,000/10,000 steps (30.0%)  1 min 10 s left (13:21)",
        "5,000/10,000 steps (50.0%)  return 75.0 (50.0, 100.0)  50 s left (13:21)",
        "6,000/10,000 steps (60.0%)  return 75.0  100 steps/s  100 updates/s  40 s left (13:21)",
        "9,000/10,000 steps (90.0%)  return 75.0  100 steps/s  100 updates/s  10 s left (13:21)",
        "10,000 environment steps in 1 min 40 s: return 150.0 (100.0, 200.0)",
    ]


def test_the_end_is_told_with_its_day_where_that_is_not_today() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(1_000_000, start_env_step=500_000, stream=stream, clock=clock, wall=afternoon) as console:
        console.left = lambda: 12 * 3600 + 100
        clock.now += 100
        console.update(510_000, 7)
    assert stream.getvalue() == "510,000/1,000,000 steps (51.0%)  12 h 2 min left (Mon 02 Mar 01:21)\n"


@pytest.mark.parametrize(
    ("returns", "shown"),
    [
        ({0: 3.0}, "3.0"),
        (dict.fromkeys(range(9), 3.0), "3.0 (95% t interval over 9 seeds: 3.0 to 3.0), seeds 3.0 to 3.0"),
        ({0: math.nan, 1: 2.0}, "nan (nan, 2.0)"),
        ({}, "none"),
        ({0: 1.0, 1: 1.5}, "1.2 (1.0, 1.5)"),
        (
            {0: 100.0, 1: 200.0, 2: 300.0},
            "200.0 (95% t interval over 3 seeds: 0.0 to 448.4), seeds 0: 100.0, 1: 200.0, 2: 300.0",
        ),
        ({0: 1.0, 1: math.inf, 2: 3.0}, "inf (1.0, inf, 3.0)"),
    ],
)
def test_returns_are_summarised_honestly(returns: dict[int, float], shown: str) -> None:
    stream = io.StringIO()
    with Console(100, stream=stream) as console:
        console.evaluation(0, returns, metric=RETURN)
    assert stream.getvalue() == f"0/100 steps (0.0%)  return {shown}\n"


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        (Metric("evaluation/accuracy", "", "share", 0, 1), "accuracy 90.0% (85.0%, 95.0%)  best 92.5% at step 40"),
        (Metric("evaluation/r_squared", "", "", high=1), "R² 0.900 (0.850, 0.950)  best 0.925 at step 40"),
    ],
)
def test_accuracy_is_called_accuracy_in_percent_and_the_best_is_told(metric: Metric, shown: str) -> None:
    stream = io.StringIO()
    with Console(100, stream=stream) as console:
        console.evaluation(50, {0: 0.85, 1: 0.95}, metric=metric, best=(40, 0.925))
    assert stream.getvalue() == f"50/100 steps (50.0%)  {shown}\n"


def test_firings_are_told_and_then_summed_up() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(10_000, stream=stream, clock=clock) as console:
        for env_step in range(100, 10_001, 100):
            clock.now += 5
            console.fired(env_step, "reset", "actor, critic")
            if env_step == 100:
                console.fired(env_step, "project", "critic", count=100)
            console.update(env_step, env_step)
        console.result({0: 1.0}, "", RETURN, None, 1.0)
    assert [line for line in stream.getvalue().splitlines() if line.startswith("step")] == [
        "step 100: reset (actor, critic) fired",
        "step 200: reset (actor, critic) fired",
        "step 300: reset (actor, critic) fired; later firings are summed up",
        "step 100: project (critic) fired 100 times",
        "step 1,800: reset (actor, critic) fired 15 times more",
        "step 4,200: reset (actor, critic) fired 24 times more",
        "step 9,000: reset (actor, critic) fired 48 times more",
        "step 10,000: reset (actor, critic) fired 10 times more",
    ]


def test_what_takes_long_is_told_with_its_time() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(100, stream=stream, clock=clock) as console:
        with console.during("compiling the update"):
            clock.now += 31
        with console.during("sending rows"):
            clock.now += 0.1
    assert stream.getvalue().splitlines() == [
        "compiling the update",
        "compiling the update took 31 s",
        "sending rows",
    ]


def test_a_terminal_gets_a_live_line_that_stays_whole_when_something_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream, clock = Terminal(), Clock()
    with pytest.raises(KeyboardInterrupt), Console(10_000, stream=stream, clock=clock) as console:
        clock.now += 0.1
        console.update(50, 50)  # too early to be shown
        console.note("[bold]a note[/bold]")
        run(console, clock)
        raise KeyboardInterrupt
    text = stream.getvalue()
    assert "50/10,000" not in text
    assert "[bold]a note[/bold]" in text
    assert "9,900/10,000 steps (99.0%)" in text
    assert text.count("10,000 environment steps in 1 min 40 s: return 150.0 (100.0, 200.0)") == 1
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor was hidden, and is back


@pytest.mark.parametrize("without", ["", "1"])
def test_the_live_line_has_no_colours_where_none_are_wanted(without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", without)
    stream, clock = Terminal(), Clock()
    with Console(10_000, stream=stream, clock=clock) as console:
        run(console, clock)
    assert bool(re.search(r"\x1b\[[\d;]*[39][0-8]", stream.getvalue())) == (not without)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream, clock = Terminal(), Clock()
    with Console(10_000, stream=stream, clock=clock) as console:
        run(console, clock)
    assert "\x1b" not in stream.getvalue() and "\r" not in stream.getvalue()


def test_switched_off_it_says_nothing() -> None:
    stream, clock = Terminal(), Clock()
    with Console(10_000, enabled=False, stream=stream, clock=clock) as console:
        console.note("a note")
        run(console, clock)
    assert stream.getvalue() == ""
