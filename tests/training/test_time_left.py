"""The time left, on a clock that is moved by hand: what each kind of work takes is known, so the error is."""

import math

import pytest

from composer.blueprint.forecast.clock import Clock
from composer.training.time_left import TimeLeft


class Run:
    """Goes through a plan with given seconds for each kind of work."""

    def __init__(self, clock: Clock, env_steps: int, prices: dict[str, float], every: dict[str, int], **more: float):
        self.now, self.clock, self.env_steps, self.prices, self.every = 0.0, clock, env_steps, prices, every
        self.left = TimeLeft(clock, env_steps, every, more.get("evaluation_interactions", 0.0), lambda: self.now)
        self.told: list[tuple[float, float]] = []

    def spend(self, work: str, count: int = 1) -> None:
        self.now += self.prices.get(work, 0.0) * count

    def go(self) -> None:
        clock = self.clock
        end = clock.interactions_by(self.env_steps)
        while clock.interactions < end:
            due = clock.tick()
            self.spend("acting" if clock.updates else "random")
            self.left.interaction()
            for _ in range(due):
                self.spend("update")
                self.now += 0.0 if self.left.has_updated else self.prices.get("compiling", 0.0)
                self.left.lap("update")
            for work, every in self.every.items():
                if clock.interactions == end or clock.due(every):
                    self.left.lap("rest", 0)
                    self.spend(work)
                    self.left.lap(work)
            self.left.lap("rest")
            self.told.append((self.now, self.left.seconds()))

    def error(self, share: float) -> float:
        """Of what is told after a share of the duration, relative to what is left then."""
        at, told = next(each for each in self.told if each[0] >= share * self.now)
        return told / (self.now - at) - 1


OFF_POLICY = {"random": 0.001, "acting": 0.002, "update": 0.01, "evaluation": 3.0, "checkpoint": 0.5}
EVERY = {"evaluation": 2_000, "checkpoint": 5_000}


@pytest.mark.parametrize("update_to_data", [0.25, 1.0, 4.0])
def test_a_warmup_says_nothing_wrong_about_what_follows(update_to_data: float) -> None:
    run = Run(Clock(2, 2_000, update_to_data), 20_000, OFF_POLICY, EVERY)
    run.go()
    assert math.isnan(run.told[100][1])  # No update was measured.
    assert abs(run.error(0.25)) < 0.02
    assert run.told[-1][1] == 0.0


def test_rollouts_are_priced_with_the_updates_that_follow_them() -> None:
    run = Run(Clock(8, 0, 16 / 128, rollout=128, untrained=1), 102_400, OFF_POLICY, {"evaluation": 20_480})
    run.go()
    assert all(abs(run.error(share)) < 0.3 for share in (0.1, 0.15, 0.2))  # No evaluation was measured before.
    assert all(abs(run.error(share)) < 0.02 for share in (0.3, 0.5, 0.7))


def test_an_evaluation_is_foreseen_before_the_first_one() -> None:
    every = {"evaluation": 4_000}
    blind = Run(Clock(1, 0, 1.0), 10_000, OFF_POLICY | {"evaluation": 20.0}, every)
    told = Run(Clock(1, 0, 1.0), 10_000, OFF_POLICY | {"evaluation": 20.0}, every, evaluation_interactions=10_000)
    blind.go()
    told.go()
    assert abs(told.error(0.1)) < 0.02 < abs(blind.error(0.1))


def test_a_run_that_goes_on_and_becomes_faster_is_timed_by_what_it_does_now() -> None:
    clock = Clock(1, 1_000, 1.0, interactions=50_000)
    run = Run(clock, 250_000, dict(OFF_POLICY), {"evaluation": 10_000})
    run.env_steps = 100_000
    run.go()
    switched = run.now
    run.prices["update"], run.env_steps = 0.002, 250_000  # Compiled by another process.
    run.go()
    at, told = next(each for each in run.told if each[0] > switched + 240)
    assert told == pytest.approx(run.now - at, rel=0.1)


def test_compiling_is_not_taken_for_an_update() -> None:
    run = Run(Clock(1, 0, 1.0), 10_000, OFF_POLICY | {"compiling": 60.0}, {})
    run.go()
    assert math.isnan(run.told[0][1])  # The first update says nothing about the others.
    assert run.told[1][1] == pytest.approx(9_998 * 0.012, rel=0.1)


def test_runs_side_by_side_share_updates_and_nothing_else() -> None:
    alone, beside = (Run(Clock(1, 0, 1.0), 1_000, OFF_POLICY, {"evaluation": 100}) for _ in range(2))
    alone.go()
    beside.left.runs = 3
    beside.prices = OFF_POLICY
    beside.go()
    assert alone.told[499][1] == pytest.approx(500 * 0.012 + 5 * 3.0, rel=0.01)
    assert beside.told[499][1] == pytest.approx(500 * 0.016 + 15 * 3.0, rel=0.01)
