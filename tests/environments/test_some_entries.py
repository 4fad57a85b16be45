"""Environments of which an agent sees some entries."""

from __future__ import annotations

import numpy as np
import pytest

from composer.environments import Gymnasium
from composer.environments.interface import UnusableEnvironment


def test_some_entries_are_seen_in_the_order_given() -> None:
    whole, some = (Gymnasium(id="CartPole-v1", observed=observed).make([3], "training") for observed in (None, (2, 0)))
    assert some.info.observation == (2,)
    np.testing.assert_array_equal(some.reset(), whole.reset()[:, [2, 0]])
    left = np.array([[1.0, 0.0]], np.float32)
    for _ in range(12):
        step, full = some.step(left), whole.step(left)
        np.testing.assert_array_equal(step.final_observation, full.final_observation[:, [2, 0]])
        np.testing.assert_array_equal(step.observation, full.observation[:, [2, 0]])
    assert full.episode_length < 12


@pytest.mark.parametrize(("id", "message"), [("CartPole-v1", "no entry 7: observations have entries 0 to 3")])
def test_entries_that_are_not_there_are_refused(id: str, message: str) -> None:
    with pytest.raises(UnusableEnvironment, match=message):
        Gymnasium(id=id, observed=(0, 7)).info  # noqa: B018
