"""Measuring eager against compiled: turns, medians, and what is decided from them."""

from __future__ import annotations

import pytest
from tiny_runs import DRIFT, learner, tiny

from composer.training import compile_measured as calibration
from composer.training.compile.capture import Choice
from composer.training.compile_measured import ROUNDS, calibrate, seconds_per_call
from composer.training.learner import Learner


class Clock:
    """Time that passes only in calls."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def measured(*overrides: str) -> Choice:
    """The choice that is measured for the tiny experiment."""
    return calibrate(lambda choice: learner(*overrides, choice=choice), tiny(*overrides).environment.info, "cpu")


def test_alternatives_take_turns_and_the_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "SECONDS", 0.5)
    clock, order, made = Clock(), [], {"a": 0, "b": 0}

    def party(name: str, seconds: float) -> None:
        made[name] += 1
        order.append(name)
        clock.now += seconds * (100 if name == "a" and made[name] == 7 else 1)  # One slow call is no verdict.

    found = seconds_per_call([lambda: party("a", 0.125), lambda: party("b", 0.0625)], lambda: None, clock)
    assert found == pytest.approx([0.125, 0.0625])
    turns = "".join(order).replace("bbbbbbbb", "B").replace("aaaa", "A")
    assert turns == "AB" + "aaaB" + "AB" * (ROUNDS - 1)


@pytest.mark.parametrize(("seconds", "compiled"), [((0.010, 0.004), True), ((0.010, 0.0097), False)])
def test_a_tie_stays_eager(monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, float], compiled: bool) -> None:
    monkeypatch.setattr(calibration, "seconds_per_call", lambda calls, settle: list(seconds))
    monkeypatch.setattr(calibration, "choose", lambda *_: Choice(True, "possible"))
    choice = measured(DRIFT)
    assert choice.compiled is compiled
    assert choice.reason == f"10.00 ms eager and {1e3 * seconds[1]:.2f} ms compiled an update, measured at the start"


def test_what_cannot_be_compiled_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert measured(DRIFT) == Choice(False, "no C++ compiler was found (no-such-compiler)")


def test_both_alternatives_are_agents_of_the_blueprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "choose", lambda *_: Choice(True, "possible"))
    monkeypatch.setattr(calibration, "SECONDS", 0.01)
    built: list[bool] = []

    def make(choice: Choice) -> Learner:
        built.append(choice.compiled)
        return learner(choice=Choice(False, "a test"))

    choice = calibrate(make, tiny(DRIFT).environment.info, "cpu")
    assert built == [False, True] and "ms eager" in choice.reason
