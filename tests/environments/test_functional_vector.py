"""Environments of pure functions, by a simulator of numbers: a walk that ends at a wall or at its limit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from walking import INFO, SEEDS, WALL, Walk

from composer.environments.interface import EnvironmentFailure, EnvironmentInfo, InvalidAction
from composer.environments.vector.batch_functions import Moved
from composer.environments.vector.functional_vector import FunctionalVector


class Told(NamedTuple):
    observations: list[NDArray[np.float32]]
    finals: list[NDArray[np.float32]]
    ends: list[NDArray[np.bool_]]


def actions(count: int, n: int = 4) -> NDArray[np.float32]:
    return np.eye(3, dtype=np.float32)[np.random.default_rng(4).integers(0, 3, (count, n))]


def run(vector: FunctionalVector, taken: NDArray[np.float32]) -> Told:
    told = Told([], [], [])
    for each in taken:
        step = vector.step(each)
        told.observations.append(step.observation)
        told.finals.append(step.final_observation)
        told.ends.append(np.stack([step.terminated, step.truncated]))
    return told


def same(one: Told, other: Told) -> bool:
    return all(
        np.array_equal(a, b) for mine, its in zip(one, other, strict=True) for a, b in zip(mine, its, strict=True)
    )


def test_an_episode_follows_from_its_seed_and_its_actions_whoever_runs_beside_it() -> None:
    together, alone = FunctionalVector(INFO, SEEDS, Walk()), FunctionalVector(INFO, SEEDS[2:3], Walk())
    first = together.reset(episode=3)
    np.testing.assert_array_equal(alone.reset(episode=3), first[2:3])
    taken = actions(40)
    both, one = run(together, taken), run(alone, taken[:, 2:3])
    assert sum(ends.any() for ends in one.ends) >= 3
    for mine, its in zip(one, both, strict=True):
        for a, b in zip(mine, its, strict=True):
            np.testing.assert_array_equal(a, b[..., 2:3] if b.dtype == bool else b[2:3])


def test_the_last_observation_of_an_episode_is_kept_and_death_is_told_from_the_limit() -> None:
    vector, other = (
        FunctionalVector(INFO, SEEDS, Walk(), parts_of_return={"half": 0.5}),
        FunctionalVector(INFO, SEEDS, Walk()),
    )
    assert [*vector.scores()] == ["evaluation/time", "half"]
    vector.reset(episode=0)
    starts = [other.reset(episode=episode) for episode in range(30)]
    numbers, returns, kinds = np.zeros(4, int), np.zeros(4), set()
    for taken in actions(60):
        step = vector.step(taken)
        returns = returns + step.reward
        np.testing.assert_allclose(step.episode_return, returns)
        died, cut = np.abs(step.final_observation[:, 0]) > WALL, step.final_observation[:, 1] == INFO.episode_env_steps
        np.testing.assert_array_equal(step.terminated, died)
        np.testing.assert_array_equal(step.truncated, cut & ~died)
        np.testing.assert_array_equal(vector.scores()["evaluation/time"], step.episode_length)
        np.testing.assert_array_equal(vector.scores()["half"], step.episode_return / 2)
        np.testing.assert_array_equal(step.episode_length, step.final_observation[:, 1])
        ended = died | cut
        numbers += ended
        returns[ended] = 0
        for row in range(4):
            follows = starts[numbers[row]][row] if ended[row] else step.final_observation[row]
            np.testing.assert_array_equal(step.observation[row], follows)
        kinds |= {("died", bool(died.any())), ("cut", bool(step.truncated.any()))}
    assert len(kinds) == 4


@pytest.mark.parametrize("at", [0, 17])
def test_a_loaded_state_goes_on_to_the_bit(at: int) -> None:
    vector, taken = FunctionalVector(INFO, SEEDS, Walk()), actions(50)
    present = vector.reset()
    if at:
        present = run(vector, taken[:at]).observations[-1]
    state = {name: value.copy() for name, value in vector.state().items()}
    expected = run(vector, taken[at:])
    fresh = FunctionalVector(INFO, SEEDS, Walk())
    np.testing.assert_array_equal(fresh.load_state(state), present)
    assert same(run(fresh, taken[at:]), expected)
    with pytest.raises(ValueError, match="environments with seeds"):
        FunctionalVector(INFO, [1, 2, 3, 4], Walk()).load_state(state)
    with pytest.raises(EnvironmentFailure, match="loading its state raised ValueError: other bytes"):
        FunctionalVector(INFO, SEEDS, Walk()).load_state(state | {"simulator": np.zeros((4, 3), np.uint8)})


def test_worlds_are_shared_within_a_seed_only_where_more_end_than_there_are() -> None:
    """8 environments of two seeds, one new world each a step; all end at the limit together."""
    calm = EnvironmentInfo((2,), 3, episode_env_steps=9, action_repeat=1, terminates=True, discrete=True)
    seeds = [25, 31, 37, 43, 51, 57, 63, 69]

    class Calm(Walk):
        def step(self, *given: Any) -> Moved:
            moved = super().step(*given)
            cut = moved.present.state[:, 1] >= calm.episode_env_steps
            return moved._replace(terminated=np.zeros(8, bool), truncated=cut)

    vector, own = FunctionalVector(calm, seeds, Calm(), group=4, fresh_starts=1), FunctionalVector(calm, seeds, Calm())
    begun = {number: own.reset(episode=number) for number in range(2)}
    np.testing.assert_array_equal(vector.reset(), begun[0])
    shared = run(vector, actions(10, 8)).observations
    np.testing.assert_array_equal(shared[8], begun[1][[0, 0, 0, 0, 4, 4, 4, 4]])
    assert len({*begun[1][:4, 0].tolist()}) > 1
    # They go on by random numbers of their own.
    assert len({*(shared[9][:4, 0] - actions(10, 8)[9, :4].argmax(1)).round(4).tolist()}) == 4


def test_after_a_failed_step_the_state_is_that_before_it() -> None:
    walk, taken = Walk(), actions(9)
    vector = FunctionalVector(INFO, SEEDS, walk)
    vector.reset()
    run(vector, taken[:5])
    before = vector.state()
    walk.raising = RuntimeError("out of memory")
    with pytest.raises(
        EnvironmentFailure, match=r"failed at decision \d under .* step raised RuntimeError: out of memory"
    ):
        vector.step(taken[5])
    assert all(np.array_equal(value, before[name]) for name, value in vector.state().items())
    walk.raising = None
    seen = vector.step(taken[5]).observation
    with pytest.raises(InvalidAction, match="one-hot"):
        vector.step(np.zeros((4, 3), np.float32))
    assert (vector.render(1) == seen[1, 1]).all()
