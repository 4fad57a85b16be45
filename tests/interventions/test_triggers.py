"""When interventions fire: planned moments, whatever the stride of the clock; crossings with patience and cooldown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from composer.interventions import At, Crossing, Every, Lengths, Trigger
from composer.training.surgery.waiting import Waiting

LENGTHS = Lengths(env=1_000, interaction=500, update=400)


def fired(trigger: Trigger, length: int, stride: int) -> list[int]:
    """Readings of a clock that goes by ``stride`` at which the trigger fires."""
    readings = range(stride, length + stride, stride)
    return [now for now in readings if trigger.fires(now - stride, now, length)]


def test_every_fires_at_its_interval_and_spares_the_end() -> None:
    assert fired(Every(interval=200), 1_000, 1) == [200, 400, 600, 800, 1_000]
    assert fired(Every(interval=200, first=1), 1_000, 1) == [1, 201, 401, 601, 801]
    # A reset in the last 200 steps would be judged before it has learned again: BBF's rule.
    assert fired(Every(interval=200, spare_last=200), 1_000, 1) == [200, 400, 600, 800]
    assert fired(Every(interval=200, spare_last=201), 1_000, 1) == [200, 400, 600]
    assert fired(Every(interval=200, maximum=2), 1_000, 1) == [200, 400]


@given(
    interval=st.integers(1, 60),
    first=st.integers(0, 80),
    spare=st.integers(0, 80),
    maximum=st.integers(0, 5),
    stride=st.integers(1, 7),
    length=st.integers(1, 200),
)
def test_firings_are_the_planned_moments(
    interval: int, first: int, spare: int, maximum: int, stride: int, length: int
) -> None:
    trigger = Every(interval=interval, first=first, spare_last=spare, maximum=maximum)
    moments = list(trigger.planned(length))
    expected = sorted({-(-moment // stride) * stride for moment in moments})
    assert fired(trigger, length, stride) == expected
    assert all(moment <= length - spare for moment in moments)
    if not maximum:
        slow = [
            m for m in range(1, length + 1) if m >= (first or interval) and (m - (first or interval)) % interval == 0
        ]
        assert moments == [m for m in slow if m <= length - spare]


def test_at_fires_once_at_each_moment() -> None:
    trigger = At(steps=[1, 10, 500, 2_000])
    assert fired(trigger, 1_000, 1) == [1, 10, 500]
    assert fired(trigger, 1_000, 8) == [8, 16, 504]


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        (At(steps=[100, 1_001], clock="env"), "1,001 comes after the end of the run (1,000 on the clock 'env')"),
        (Every(interval=401), "never fires: 401 > 400 on the clock 'update'"),
        (
            Every(interval=10, first=395, spare_last=10),
            "never fires: 395 > 400 on the clock 'update' with the last 10 spared",
        ),
        (Every(interval=10, clock="epoch"), "there is no data set here whose epochs could be counted"),
        (Every(interval=1, clock="phase"), "nothing switches here"),
        (Crossing(metric="m", above=1.0, clock="epoch"), "a cooldown is counted on 'env', 'interaction' or 'update'"),
    ],
)
def test_what_would_never_fire_is_told(trigger: Trigger, problem: str) -> None:
    (found,) = trigger.problems(LENGTHS)
    assert problem in found[1]


def test_sound_triggers_have_no_problems() -> None:
    for trigger in (
        At(steps=[400]),
        Every(interval=400),
        Every(interval=1_000, clock="env"),
        Crossing(metric="m", above=1.0),
    ):
        assert list(trigger.problems(LENGTHS)) == []


@pytest.mark.parametrize("steps", [[], [5, 5], [7, 3], [0]])
def test_moments_must_rise(steps: list[int]) -> None:
    with pytest.raises(ValidationError):
        At(steps=steps)


def test_a_crossing_has_one_side() -> None:
    for sides in ({}, {"above": 1.0, "below": 0.0}):
        with pytest.raises(ValidationError, match="exactly one of 'above' and 'below'"):
            Crossing(metric="m", **sides)
    below = Crossing(metric="m", below=0.0)
    assert (below.streak_after(2, -0.1), below.streak_after(2, 0.0)) == (3, 0)


@pytest.mark.parametrize("threshold", [-2.5, 0.0, 1e-9, 0.75, 1e12])
def test_a_crossing_lies_beyond_its_threshold_and_not_on_it(threshold: float) -> None:
    above, below = Crossing(metric="m", above=threshold), Crossing(metric="m", below=threshold)
    larger, smaller = math.nextafter(threshold, math.inf), math.nextafter(threshold, -math.inf)
    for value, over, under in ((larger, 3, 0), (threshold, 0, 0), (smaller, 0, 3)):
        assert (above.streak_after(2, value), below.streak_after(2, value)) == (over, under), value
    assert above.streak_after(2, math.nan) == below.streak_after(2, math.nan) == 0


def is_met(when: Crossing, streak: int, fired: int, since: int) -> bool:
    """Whether it fires after ``streak`` readings beyond and ``fired`` firings, the last ``since`` steps ago."""
    waiting = Waiting(when, 1)
    dict(waiting.tensors())["streak"][0] = streak
    return waiting.is_met(0, fired, since)


def test_a_crossing_waits_for_its_patience_and_its_cooldown_and_stops_at_its_maximum() -> None:
    when = Crossing(metric="m", above=1.0, patience=3, cooldown=10, maximum=2)
    assert [is_met(when, streak, 0, 0) for streak in (2, 3, 4)] == [False, True, True]
    assert [is_met(when, 3, 1, since) for since in (9, 10, 11)] == [False, True, True]
    assert [is_met(when, 3, fired, 99) for fired in (1, 2, 3)] == [True, False, False]
    assert is_met(Crossing(metric="m", above=1.0, maximum=0), 1, 10**6, 1)
