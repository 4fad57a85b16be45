"""The vector environment: ends of episodes, repeat, seeds, checks and exact state, on an environment that counts."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_environment import Fault, Scripted

from composer.environments import EnvironmentFailure, InvalidAction
from composer.environments.vector.vector import episode_seed
from composer.spec.random_streams import derive


def actions(n: int, value: float = 0.25) -> np.ndarray:
    return np.full((n, 2), value, np.float32)


def first_observation(seed: int, episode: int, stream: str = "training") -> np.ndarray:
    fraction = episode_seed(derive(seed, stream), episode) / 2**63
    return np.array([fraction, 0.0, 0.0], np.float32)


@pytest.mark.parametrize(("terminates_at", "terminated"), [(0, False), (4, True)])
def test_end_of_episode_keeps_last_observation_and_starts_the_next(terminates_at: int, terminated: bool) -> None:
    environment = Scripted(limit=4, terminates_at=terminates_at)
    vector = environment.make([3], "training")
    np.testing.assert_array_equal(vector.reset(), first_observation(3, 0)[None])
    for taken in (1, 2, 3):
        step = vector.step(actions(1))
        assert not step.terminated[0] and not step.truncated[0]
        np.testing.assert_array_equal(step.observation, step.final_observation)
        assert step.episode_length[0] == taken
    step = vector.step(actions(1))
    assert (step.terminated[0], step.truncated[0]) == (terminated, not terminated)
    np.testing.assert_array_equal(step.final_observation[0, 1:], [4.0, 2.0])
    np.testing.assert_array_equal(step.observation[0], first_observation(3, 1))
    assert step.episode_return[0] == 4 * 1.125 and step.episode_length[0] == 4
    step = vector.step(actions(1))
    assert step.episode_return[0] == 1.125 and step.episode_length[0] == 1


def test_repeat_sums_rewards_and_shortens_the_last_decision() -> None:
    environment = Scripted(limit=7, action_repeat=3)
    assert environment.info.episode_interactions == 3
    vector = environment.make([0], "training")
    vector.reset()
    steps = [vector.step(actions(1)) for _ in range(2)]
    rewards, lengths = [step.reward[0] for step in steps], [step.episode_length[0] for step in steps]
    last = vector.step(actions(1))
    assert [*rewards, last.reward[0]] == [3.375, 3.375, 1.125]
    assert [*lengths, last.episode_length[0]] == [3, 6, 7]
    assert last.truncated[0] and last.episode_return[0] == 7 * 1.125


def test_repeat_stops_at_a_failure() -> None:
    vector = Scripted(limit=9, terminates_at=4, action_repeat=3).make([0], "training")
    vector.reset()
    vector.step(actions(1))
    step = vector.step(actions(1))
    assert step.terminated[0] and step.reward[0] == 1.125 and step.final_observation[0, 1] == 4.0


def test_environments_depend_on_their_own_seed_only() -> None:
    together = Scripted(limit=3).make([5, 9], "training")
    alone = Scripted(limit=3).make([9], "training")
    np.testing.assert_array_equal(together.reset()[1:], alone.reset())
    for _ in range(7):
        both, one = together.step(actions(2)), alone.step(actions(1))
        for name in both._fields:
            np.testing.assert_array_equal(getattr(both, name)[1:], getattr(one, name), err_msg=name)


def test_episodes_streams_and_copies_have_seeds_of_their_own() -> None:
    environment = Scripted(copies=3)
    seeds = [seed for run in (0, 1) for seed in environment.copy_seeds(run)]
    draws = []
    for stream in ("training", "evaluation"):
        vector = environment.make(seeds, stream)
        draws += [vector.reset()[:, 0], vector.reset()[:, 0]]
    assert len(np.unique(np.concatenate(draws))) == 4 * 6
    with pytest.raises(ValueError, match="distinct seeds"):
        environment.make([1, 1], "training")


def test_an_episode_asked_for_by_its_number_is_the_same_whatever_came_before() -> None:
    vector = Scripted(limit=3).make([0, 1], "evaluation")
    first = vector.reset(episode=40)
    for _ in range(4):
        step = vector.step(actions(2))
    np.testing.assert_array_equal(step.episode_length, [1, 1])
    np.testing.assert_array_equal(vector.reset(episode=40), first)
    np.testing.assert_array_equal(first[1], first_observation(1, 40, "evaluation"))
    np.testing.assert_array_equal(vector.reset()[1], first_observation(1, 41, "evaluation"))


def test_results_of_a_step_survive_the_next_one() -> None:
    vector = Scripted(limit=3).make([0, 1], "training")
    vector.reset()
    earlier = vector.step(actions(2))
    copies = [array.copy() for array in earlier]
    vector.step(actions(2, 0.5))
    for name, kept, copied in zip(earlier._fields, earlier, copies, strict=True):
        np.testing.assert_array_equal(kept, copied, err_msg=name)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "step raised ZeroDivisionError: joint without a mass"),
        ("nan", "entry 1 of the observation is nan"),
        ("infinite_reward", "the reward is inf"),
    ],
)
def test_failure_says_where_and_leaves_the_state_of_the_step_before(fault: Fault, reason: str) -> None:
    environment = Scripted(limit=4, fault=fault)
    vector = environment.make([0, 8], "training")
    vector.reset()
    for _ in range(6):
        expected = vector.step(actions(2)).observation.copy()
    before = vector.state()
    poisoned = actions(2)
    poisoned[1, 0] = 1.0
    with pytest.raises(EnvironmentFailure) as caught:
        vector.step(poisoned)
    failure = caught.value
    assert (failure.environment, failure.episode, failure.step, failure.action) == (1, 1, 2, [1.0, 0.25])
    assert failure.seed == episode_seed(derive(8, "training"), 1)
    assert str(failure) == (
        f"environment 1 (episode 1, seed {failure.seed}) failed at decision 2 under action [1, 0.25]: {reason}"
    )
    with pytest.raises(RuntimeError, match="cannot be stepped"):
        vector.step(actions(2))
    after = vector.state()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)
    np.testing.assert_array_equal(environment.make([0, 8], "training").load_state(after), expected)


def test_failure_of_a_reset_names_the_episode_that_did_not_begin() -> None:
    vector = Scripted(limit=2, fault="raise_in_reset").make([0], "training")
    vector.reset()
    vector.step(actions(1))
    before = vector.state()
    with pytest.raises(EnvironmentFailure, match=r"episode 1, seed \d+\) failed at decision 0: .*terrain"):
        vector.step(actions(1, 1.0))
    np.testing.assert_array_equal(vector.state()["lengths"], before["lengths"])
    with pytest.raises(EnvironmentFailure, match=r"environment 0 .* OSError: no such model"):
        Scripted(fault="raise_in_build").make([0], "training")


@pytest.mark.parametrize(
    ("given", "finite", "message"),
    [
        (np.zeros((2, 3), np.float32), True, r"shape \[2, 3\]; these environments take \[2, 2\]"),
        (np.array([[0, 0], [0, 1.01]], np.float32), True, "environment 1 leaves"),
        (np.array([[0, np.nan], [0, 0]], np.float32), False, "environment 0 leaves"),
    ],
)
def test_wrong_actions_are_the_agents_fault_and_change_nothing(given: np.ndarray, finite: bool, message: str) -> None:
    vector = Scripted().make([0, 1], "training")
    vector.reset()
    with pytest.raises(InvalidAction, match=message) as caught:
        vector.step(given)
    assert caught.value.finite is finite
    assert vector.step(actions(2)).episode_length.tolist() == [1, 1]


def test_state_continues_exactly_even_beyond_the_declared_limit() -> None:
    environment = Scripted(limit=9, declared_limit=2, terminates_at=5)
    vector = environment.make([4, 6], "training")
    vector.reset()
    draw = np.random.default_rng(0)
    taken = draw.uniform(-1, 0.9, (13, 2, 2)).astype(np.float32)
    for chosen in taken[:9]:
        vector.step(chosen)
    resumed = environment.make([4, 6], "training")
    observation = resumed.load_state(vector.state())
    np.testing.assert_array_equal(observation, vector.state()["observations"])
    for chosen in taken[9:]:
        expected, got = vector.step(chosen), resumed.step(chosen)
        for name in expected._fields:
            np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)


def test_state_is_refused_where_it_does_not_belong() -> None:
    vector = Scripted().make([0], "training")
    vector.reset()
    vector.step(actions(1))
    state = vector.state()
    with pytest.raises(ValueError, match="this state is that of environments with seeds"):
        Scripted().make([1], "training").load_state(state)
    state["observations"] = np.nextafter(state["observations"], np.float32(2.0))
    elsewhere = Scripted().make([0], "training")
    with pytest.raises(EnvironmentFailure, match="replaying the 1 actions of the running episode led elsewhere"):
        elsewhere.load_state(state)
    np.testing.assert_array_equal(elsewhere.reset()[0], first_observation(0, 1))  # whoever accepts that goes on
