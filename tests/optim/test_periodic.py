"""A value at every update but each N-th: alone, and as the momentum of an average."""

from __future__ import annotations

import pytest
import torch
from tiny_deterministic import SIMBA, batch, learner, state

from composer.blueprint import BlueprintError, load
from composer.blueprint.forecast.timeline import timeline
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.schedules import Periodic


@pytest.mark.parametrize("every", [1, 2, 3])
def test_each_nth_update_counted_from_one_has_the_other_value(every: int) -> None:
    schedule = Periodic(every=every, value=0.25, at=0.75)
    done = torch.arange(7, dtype=torch.float64)
    got = schedule.build(Hyperparameters(7, "cpu"))(done)
    assert got.tolist() == [0.75 if number % every == 0 else 0.25 for number in range(1, 8)]
    assert got.dtype == torch.float32
    assert schedule.bounds() == ((0.75, 0.75) if every == 1 else (0.25, 0.75))
    for update, value in schedule.points():
        assert got[update] == value


@pytest.mark.parametrize(("first", "every"), [(1, 1), (1, 3), (2, 3), (3, 3), (5, 3), (7, 1)])
def test_the_first_of_them_may_come_earlier_or_later(first: int, every: int) -> None:
    """DQN's target network in Dopamine: after 1,000 updates, then every 2,000, since steps without updates count."""
    schedule = Periodic(every=every, first=first, value=0.25, at=0.75)
    got = schedule.build(Hyperparameters(12, "cpu"))(torch.arange(12, dtype=torch.float64)).tolist()
    assert [number for number in range(1, 13) if got[number - 1] == 0.75] == list(range(first, 13, every))
    assert schedule.bounds() == (min(got), max(got))
    assert all(got[update] == value for update, value in schedule.points())
    assert Periodic(every=every, first=first).copies == (first, every)


def test_counting_is_exact_late_in_a_run() -> None:
    at = Periodic(every=3).build(Hyperparameters(4, "cpu"))
    assert at(3.0 * 10**11 + torch.arange(4, dtype=torch.float64)).tolist() == [1.0, 1.0, 0.0, 1.0]


def test_a_target_is_copied_each_third_update_and_stays_bit_by_bit_in_between() -> None:
    agent = learner(*SIMBA, "seeds=[0, 1]", "averages.target_critic.momentum={ kind = 'periodic', every = 3 }")
    held = state(agent)
    for number in range(1, 7):
        agent.update(batch(2, number))
        now = state(agent)
        if number % 3 == 0:
            held = now
        for name, value in now.items():
            if name.startswith("averages/target_critic/"):
                assert torch.equal(value, held[name]), (number, name)
                online = now[name.replace("averages/target_critic", "networks/critic")]
                assert torch.equal(value, online) == (number % 3 == 0), (number, name)


def test_a_momentum_that_leaves_zero_to_one_is_refused() -> None:
    with pytest.raises(BlueprintError, match="must be in 0 to 1, got 0 to 2"):
        learner(*SIMBA, "averages.target_critic.momentum={ kind = 'periodic', every = 3, value = 2.0 }")


def test_the_timeline_tells_when() -> None:
    from tiny_deterministic import TINY_TD3

    moments = [moment for moment in timeline(load(TINY_TD3).blueprint) if "periodic" in moment.event]
    assert {(moment.update, moment.event.split(",")[0]) for moment in moments} == {
        (0, "momentum is 1"),
        (1, "momentum is 0.9"),
    }
