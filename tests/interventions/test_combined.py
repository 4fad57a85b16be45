"""Conditions on a seed's own past and triggers combined, against a slow reading of the whole history."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from composer.interventions import AllOf, AnyOf, At, Change, Crossing, Every, Lengths, Not, Plateau, Quantile, Slope
from composer.interventions.clocks import ClockName
from composer.interventions.triggers import Trigger
from composer.training.surgery.waiting import Triggers

LENGTHS = Lengths(env=1_000, interaction=1_000, update=1_000)
SEEDS = 2


class Row(NamedTuple):
    """Metrics of one seed, written after one more environment step and two more updates."""

    seed: int
    metrics: dict[str, float]


class Step(NamedTuple):
    """One more reading of a clock, for both seeds."""

    clock: ClockName


Event = Row | Step
numbers = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 5.0])
readings = st.one_of(numbers, numbers, numbers, st.sampled_from([math.nan, math.inf]))
events = st.lists(
    st.one_of(
        st.builds(Row, st.integers(0, 1), st.dictionaries(st.sampled_from("abc"), readings, max_size=2)),
        st.builds(Row, st.just(0), st.fixed_dictionaries({"a": numbers, "b": numbers})),
        st.builds(Step, st.sampled_from(["env", "update"])),
    ),
    min_size=8,
    max_size=40,
)
common = {"metric": st.sampled_from("ab"), "patience": st.integers(1, 2)}
sides = st.sampled_from([{"above": 0.37}, {"below": 0.37}, {"above": -0.61}, {"below": -0.61}])


def sided(kind: Any, **keys: Any) -> st.SearchStrategy[Trigger]:
    """A kind with one of its two thresholds, which no value of the tests lies on."""
    return st.builds(lambda side, rest: kind(**side, **rest), sides, st.fixed_dictionaries(common | keys))


windows = st.integers(1, 4)
leaves = st.one_of(
    sided(Crossing),
    sided(Slope, readings=st.integers(2, 4)),
    sided(Change, readings=windows, unit=st.sampled_from(["value", "deviation"])),
    st.builds(Plateau, readings=windows, improvement=st.sampled_from([0.0, 0.5]),
              better=st.sampled_from(["higher", "lower"]), **common),
    st.builds(Quantile, above=st.sampled_from([0.0, 0.25, 0.5, 1.0]), readings=windows, **common),
    st.builds(Quantile, below=st.sampled_from([0.0, 0.25, 0.5, 1.0]), readings=windows, **common),
    st.builds(Every, interval=st.integers(1, 4), clock=st.sampled_from(["env", "update"])),
    st.builds(At, steps=st.just((2, 5)), clock=st.sampled_from(["env", "update"])),
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, of=inner),
        st.builds(AllOf, of=st.lists(inner, min_size=1, max_size=3)),
        st.builds(AnyOf, of=st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)
limits = st.fixed_dictionaries(
    {"cooldown": st.sampled_from([0, 0, 2]), "maximum": st.integers(0, 3), "clock": st.just("env")}
)


class Slow:
    """The same, from everything that was ever read, by lists."""

    def __init__(self, when: Trigger, cooldown: int, maximum: int) -> None:
        """Nothing has been read."""
        self.when, self.cooldown, self.maximum = when, cooldown, maximum
        self.history: list[list[dict[str, float]]] = [[] for _ in range(SEEDS)]
        self.begun, self.firings = [0] * SEEDS, [list[int]() for _ in range(SEEDS)]

    def fires(self, seed: int, env: int, moment: tuple[ClockName, int] | None) -> bool:
        """Whether it fires for a seed at a row that is in the history, or at a moment of a clock."""
        rows, fired = self.history[seed][self.begun[seed] :], self.firings[seed]
        rested = not fired or env - fired[-1] >= self.cooldown
        if not rested or len(fired) >= (self.maximum or math.inf) or self.truth(self.when, rows, moment) is not True:
            return False
        fired.append(env)
        self.begun[seed] = len(self.history[seed])
        return True

    def truth(self, when: Trigger, rows: Sequence[dict[str, float]], moment: tuple[ClockName, int] | None) -> Any:
        """True, False, or None where it is unknown."""
        if isinstance(when, Not):
            found = self.truth(when.of, rows, moment)
            return None if found is None else not found
        if isinstance(when, AllOf | AnyOf):
            every, decides = [self.truth(each, rows, moment) for each in when.of], isinstance(when, AnyOf)
            return decides if any(each is decides for each in every) else None if None in every else not decides
        if isinstance(when, Every):
            return moment is not None and moment[0] == when.clock and moment[1] % when.interval == 0
        if isinstance(when, At):
            return moment is not None and moment[0] == when.clock and moment[1] in when.steps
        assert isinstance(when, Crossing | Quantile | Slope | Plateau | Change)
        values = [row[when.metric] for row in rows if when.metric in row]
        so = [demanded(when, values[: end + 1]) for end in range(len(values))]
        remembers = not isinstance(when, Crossing)
        known = [each for each in values if math.isfinite(each) or not remembers]
        if len(known) < (1 if not remembers else when.readings + (not isinstance(when, Slope))):
            return None
        return len(so) >= when.patience and all(so[-when.patience :])


def demanded(when: Any, values: Sequence[float]) -> bool:
    """Whether the last of these readings is as demanded."""
    if isinstance(when, Crossing):
        return values[-1] > when.above if when.above is not None else values[-1] < when.below
    past, value = np.array([each for each in values[:-1] if math.isfinite(each)]), values[-1]
    enough = len(past) >= (when.readings - 1 if isinstance(when, Slope) else when.readings)
    if not enough or not math.isfinite(value):
        return False
    if isinstance(when, Plateau):
        every = np.array([*past, value]) * (1 if when.better == "higher" else -1)
        return bool(every[-when.readings :].max() - every[: -when.readings].max() <= when.improvement)
    last = past[-when.readings :]
    if isinstance(when, Quantile):
        bound = np.quantile(last, when.above if when.above is not None else when.below)
    elif isinstance(when, Slope):
        last = np.array([*past, value])[-when.readings :]
        value, bound = float(np.polyfit(range(len(last)), last, 1)[0]), when.above if when.below is None else when.below
    else:
        scale = last.std() if when.unit == "deviation" else 1.0
        value, bound = value - last.mean(), scale * (when.above if when.below is None else when.below)
    return bool(value > bound if when.above is not None else value < bound)


def played(when: Trigger, events: Sequence[Event], resumed: bool, slow: Slow | None = None) -> Iterator[list[bool]]:
    """By event, for which seeds a trigger fires; ``resumed`` puts its state into a new object after each event."""
    triggers, fired, now = Triggers({"it": when}, LENGTHS, SEEDS), torch.zeros(SEEDS, dtype=torch.int64), [0, 0]
    for event in events:
        met, expected = None, [False] * SEEDS
        clocks: dict[ClockName, int] = {"env": now[0], "update": now[1]}
        if isinstance(event, Row):
            if slow is not None:
                slow.history[event.seed].append(event.metrics)
                if set(when.watched_metrics()) & event.metrics.keys():
                    expected[event.seed] = slow.fires(event.seed, now[0], None)
            for name in triggers.read(event.seed, event.metrics):
                met = triggers.met(name, torch.arange(SEEDS) == event.seed, fired, clocks)
        else:
            index = ("env", "update").index(event.clock)
            now[index] += 1
            if slow is not None and moments(when, event.clock, now[index]):
                expected = [slow.fires(seed, now[0], (event.clock, now[index])) for seed in range(SEEDS)]
            if due := triggers.due("it", event.clock, now[index] - 1, now[index]):
                clocks = {event.clock: now[index]}
                met = triggers.met("it", torch.ones(SEEDS, dtype=torch.bool), fired, clocks, due)
        found = [False] * SEEDS if met is None else met.tolist()
        fired += torch.tensor(found)
        assert slow is None or found == expected
        if resumed:
            before, triggers = triggers, Triggers({"it": when}, LENGTHS, SEEDS)
            for (_, key, new), (_, name, old) in zip(triggers.tensors(), before.tensors(), strict=True):
                assert key == name
                new.copy_(old)
        yield found


def moments(when: Trigger, clock: ClockName, now: int) -> bool:
    """Whether one of the planned triggers within has a moment now."""
    return any(leaf.trigger.clock == clock and now in leaf.trigger.planned(1_000) for leaf in when.leaves())


def has_sound_cooldown(when: Trigger, cooldown: int) -> bool:
    """Whether the moments within are planned on the clock of the cooldown."""
    return not cooldown or all(leaf.condition or leaf.trigger.clock == "env" for leaf in when.leaves())


@settings(max_examples=120)
@given(tree=trees, limit=limits, events=events, resumed=st.booleans())
def test_firings_are_those_of_a_slow_reading_of_the_whole_history(
    tree: Trigger, limit: dict[str, Any], events: list[Event], resumed: bool
) -> None:
    whole = AllOf(of=[tree], **limit)
    if not has_sound_cooldown(tree, limit["cooldown"]):
        whole = whole.model_copy(update={"cooldown": 0})
    slow = Slow(whole, whole.cooldown, whole.maximum)
    for _ in played(whole, events, resumed, slow):
        pass


LONG = [
    Crossing(metric="a", above=2.5, patience=2),
    *(Quantile(metric="a", above=share, readings=7, patience=patience) for share in (0.3, 0.9) for patience in (1, 2)),
    Quantile(metric="a", below=0.6, readings=4, patience=3),
    Slope(metric="a", above=0.37, readings=6, patience=2),
    Slope(metric="a", below=-0.61, readings=3),
    *(Plateau(metric="a", readings=few, better="higher", patience=2) for few in (1, 3, 12)),
    Plateau(metric="a", readings=5, better="lower", improvement=1.0, patience=4),
    Change(metric="a", above=2.13, readings=9),
    Change(metric="a", below=-1.37, readings=6, unit="deviation", patience=2),
]


@pytest.mark.parametrize("when", LONG, ids=lambda when: when.phrase())
def test_a_long_series_fires_where_the_slow_reading_does(when: Trigger) -> None:
    draw = random.Random(0)
    series = [draw.gauss(0.0, 2.0) + 4.0 * (step % 50 > 30) for step in range(100)]
    events = [each for value in series for each in (Step("env"), Row(1, {"a": round(value)}))]
    for cooldown, maximum in ((0, 0), (25, 2)):
        whole = when.model_copy(update={"cooldown": cooldown, "maximum": maximum, "clock": "env"})
        slow = Slow(whole, cooldown, maximum)
        found = [met[1] for met in played(whole, events, cooldown == 0, slow)]
        assert any(found)


@settings(max_examples=40)
@given(tree=trees, limit=limits, events=events)
def test_two_negations_and_a_combination_of_one_change_nothing(
    tree: Trigger, limit: dict[str, Any], events: list[Event]
) -> None:
    limit["cooldown"] *= has_sound_cooldown(tree, limit["cooldown"])
    expected = [*played(AllOf(of=[tree], **limit), events, False)]
    for same in (AnyOf(of=[tree], **limit), Not(of=Not(of=tree), **limit)):
        assert [*played(same, events, False)] == expected
    if all(leaf.condition and not leaf.key for leaf in tree.leaves()):
        assert [*played(tree.model_copy(update=limit), events, False)] == expected


def test_the_size_of_the_state_does_not_grow_with_the_run() -> None:
    when = AllOf(of=[Plateau(metric="a", readings=3), Quantile(metric="b", above=0.5, readings=7)])
    triggers = Triggers({"it": when}, LENGTHS, SEEDS)
    for value in range(1_000):
        assert len([*triggers.read(0, {"a": float(value), "b": 0.0})]) == 1
    assert {key: tuple(value.shape) for _, key, value in triggers.tensors()} == {
        "streak": (3, 2), "readings": (2, 2), "past": (2, 4 + 7),
    }  # fmt: skip
    state = {key: value for _, key, value in triggers.tensors()}
    assert state["past"][0].tolist() == [996.0, 997.0, 998.0, 999.0, *[0.0] * 7]
    assert not state["past"][1].any() and not state["readings"][:, 1].any(), "the other seed has read nothing"


@pytest.mark.parametrize(
    ("when", "key", "problem"),
    [
        (Not(of=Every(interval=5)), "of", "never fires: it cannot hold when a metric of it is read"),
        (
            AllOf(of=[At(steps=[5]), Not(of=At(steps=[2_000]))]),
            "of[1].of.steps",
            "2,000 comes after the end of the run",
        ),
        (
            AllOf(of=[Every(interval=5), Crossing(metric="m", above=0.0)], clock="env", cooldown=9),
            "of[0].clock",
            "with a cooldown, moments are planned on its clock, 'env'",
        ),
        (AnyOf(of=[Plateau(metric="m")], clock="epoch"), "clock", "a cooldown is counted on 'env'"),
    ],
)
def test_what_would_never_fire_is_told_at_its_key(when: Trigger, key: str, problem: str) -> None:
    (found,) = when.problems(LENGTHS)
    assert found[0] == key and problem in found[1]


def test_a_run_that_ends_earlier_keeps_what_can_still_fire() -> None:
    crossing, early, late = Crossing(metric="m", above=0.0), At(steps=[3, 9]), At(steps=[7])
    ends = Lengths(env=5, interaction=5, update=5)
    assert AnyOf(of=[late, crossing, Not(of=early)]).until(ends) == AnyOf(of=[crossing, Not(of=At(steps=[3]))])
    assert AnyOf(of=[late]).until(ends) == AnyOf(of=[late])
    assert AllOf(of=[crossing, early]).until(ends) == AllOf(of=[crossing, At(steps=[3])])


def test_limits_belong_to_the_outermost() -> None:
    crossing = {"metric": "m", "above": 0.0}
    for limit in ({"cooldown": 3}, {"maximum": 2}, {"clock": "env"}):
        with pytest.raises(ValidationError, match="has no effect within another trigger; give it to the outermost"):
            AllOf(of=[Crossing(**crossing), Not(of=Crossing(**crossing), **limit)])
    many = AllOf(of=[Crossing(**crossing)] * 12)
    with pytest.raises(ValidationError, match="combines more than 12 triggers"):
        Not(of=AllOf(of=[many, Crossing(**crossing)]))
