"""Skills: a vector for every episode, at the end of each observation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import TypeAdapter

from composer.environments import DmControl, Environment, Gymnasium, Point
from composer.environments.skills import Skills
from composer.spec.random_streams import derive


def point(**skills: object) -> Point:
    return Point.model_validate({"episode_env_steps": 3, "skills": {"size": 2, **skills}})


def test_the_skill_stays_in_an_episode_and_is_drawn_anew_for_the_next() -> None:
    environment, own = point(), Point(episode_env_steps=3)
    made, plain = (each.make([3, 8], "training") for each in (environment, own))
    assert (made.info.observation, made.info.skill_size, own.info.observation) == ((6,), 2, (4,))
    seen, bare = made.reset(), plain.reset()
    np.testing.assert_array_equal(seen[:, :4], bare)
    skills, draw = [seen[:, 4:]], np.random.default_rng(0)
    for decision in range(1, 8):
        action = draw.uniform(-1, 1, (2, 2)).astype(np.float32)
        step, other = made.step(action), plain.step(action)
        np.testing.assert_array_equal(step.final_observation[:, :4], other.final_observation)
        np.testing.assert_array_equal(step.final_observation[:, 4:], skills[-1])  # That of the episode that ends.
        if decision % 3 == 0:
            assert step.truncated.all() and not step.terminated.any()
            skills.append(step.observation[:, 4:].copy())
        np.testing.assert_array_equal(step.observation[:, 4:], skills[-1])
    drawn = np.concatenate(skills)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-6)
    assert len(np.unique(drawn.round(6), axis=0)) == 6  # By environment and by episode.
    skill = environment.skills
    assert skill is not None
    for row, seed in enumerate((3, 8)):
        np.testing.assert_array_equal(skills[1][row], skill.draw(derive(seed, "training"), 1))


def test_a_state_in_mid_episode_continues_with_its_skill_and_the_next_ones() -> None:
    made, again = (point().make([3, 8], "training") for _ in range(2))
    action = np.zeros((2, 2), np.float32)
    made.reset()
    for _ in range(4):
        step = made.step(action)
    np.testing.assert_array_equal(again.load_state(made.state()), step.observation)
    for _ in range(4):
        np.testing.assert_array_equal(made.step(action).observation, again.step(action).observation)
    np.testing.assert_array_equal(made.reset(episode=5), again.reset(episode=5))


def test_the_time_limit_may_count_as_a_termination() -> None:
    environment = point(limit="terminates")
    made = environment.make([3], "training")
    made.reset()
    ends = [made.step(np.zeros((1, 2), np.float32)) for _ in range(3)]
    assert [(bool(e.terminated[0]), bool(e.truncated[0])) for e in ends] == [(False, False)] * 2 + [(True, False)]
    assert environment.info.terminates and not point().info.terminates


def test_distributions() -> None:
    choices = np.stack([Skills(size=3, distribution="one_hot").draw(seed, 0) for seed in range(300)])
    assert set(choices.sum(1)) == {1.0} and set(np.unique(choices)) == {0.0, 1.0}
    np.testing.assert_allclose(choices.mean(0), 1 / 3, atol=0.1)
    normals = np.stack([Skills(size=1, distribution="normal").draw(seed, 0) for seed in range(300)])
    assert abs(normals.mean()) < 0.2 and abs(normals.std() - 1) < 0.15


def test_a_known_environment_keeps_its_own_description() -> None:
    """Whose description is cached by instance, or found when it is built."""
    for environment, size in (
        (DmControl.model_validate({"task": "point_mass-easy", "skills": {"size": 5}}), 4),
        (Gymnasium.model_validate({"id": "Pendulum-v1", "skills": {"size": 5}}), 3),
    ):
        assert environment.info.observation == (size + 5,)
        assert environment.without_skills().info.observation == (size,)
    parts = environment.seen_spaces(environment.without_skills().native_spaces(), environment.info).parts
    assert [(part.name, part.shape) for part in parts] == [("observation", (3,)), ("skill", (5,))]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"kind": "minatar", "game": "breakout"}, "'minatar' tells no place beside its pictures"),
        ({"kind": "point"}, "an observation has 4 numbers, from 0 to 3: there is no entry 9"),
    ],
)
def test_what_cannot_be_is_refused(environment: dict[str, object], said: str) -> None:
    table = {**environment, "skills": {"size": 2}, "coverage": {"coordinates": [0, 9]}}
    found = TypeAdapter[Environment](Environment).validate_python(table)
    messages = [message for _, message in found.problems(8, 100, 1)]
    assert any(re.search(said, message) for message in messages), messages
