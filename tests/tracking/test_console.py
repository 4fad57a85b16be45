"""The console: plain lines where there is no terminal, one live line where there is, and nothing when switched off."""

import io
import math

import pytest

from composer.tracking.console import Console


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


def run(console: Console, clock: Clock) -> None:
    """A run of 10,000 steps at 100 a second, which gives an update a step, evaluated twice."""
    for env_step in range(100, 10_001, 100):
        clock.now += 1.0
        console.update(env_step, env_step)
        if env_step % 5000 == 0:
            console.evaluation(env_step, {0: env_step / 100, 1: env_step / 50})


def test_a_pipe_gets_a_line_every_30_seconds_and_at_every_evaluation() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(10_000, stream=stream, clock=clock) as console:
        console.note("checkpoint at step 0")
        run(console, clock)
    assert stream.getvalue().splitlines() == [
        "checkpoint at step 0",
        "3,000/10,000 steps (30.0%)  1:10 left",
        "5,000/10,000 steps (50.0%)  return 75.0 (50.0, 100.0)  0:50 left",
        "6,000/10,000 steps (60.0%)  return 75.0 (50.0, 100.0)  100 updates/s  0:40 left",
        "9,000/10,000 steps (90.0%)  return 75.0 (50.0, 100.0)  100 updates/s  0:10 left",
        "10,000/10,000 steps (100.0%)  return 150.0 (100.0, 200.0)  100 updates/s  0:00 left",
    ]


def test_a_resumed_run_is_timed_from_where_it_goes_on() -> None:
    stream, clock = io.StringIO(), Clock()
    with Console(1_000_000, start_env_step=500_000, stream=stream, clock=clock) as console:
        clock.now += 100
        console.update(510_000, 7)
    assert stream.getvalue() == "510,000/1,000,000 steps (51.0%)  1:21:40 left\n"


@pytest.mark.parametrize(
    ("returns", "shown"),
    [
        ({0: 3.0}, "3.0"),
        ({0: math.nan, 1: 2.0}, "nan (nan, 2.0)"),
        ({}, "none"),
        ({0: 1.0, 1: 1.5}, "1.2 (1.0, 1.5)"),
        ({0: 100.0, 1: 200.0, 2: 300.0}, "200.0 (95% t interval over 3 seeds: 0.0 to 448.4)"),
        ({0: 1.0, 1: math.inf, 2: 3.0}, "inf (1.0, inf, 3.0)"),
    ],
)
def test_returns_are_summarised_honestly(returns: dict[int, float], shown: str) -> None:
    stream = io.StringIO()
    with Console(100, stream=stream) as console:
        console.evaluation(0, returns, bounds=(0.0, 1000.0))
    assert stream.getvalue() == f"0/100 steps (0.0%)  return {shown}\n"


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
    assert "10,000/10,000 steps (100.0%)" in text and "150.0 (100.0, 200.0)" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor was hidden, and is back


def test_switched_off_it_says_nothing() -> None:
    stream, clock = Terminal(), Clock()
    with Console(10_000, enabled=False, stream=stream, clock=clock) as console:
        console.note("a note")
        run(console, clock)
    assert stream.getvalue() == ""
