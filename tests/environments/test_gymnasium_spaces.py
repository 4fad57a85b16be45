"""Spaces are held to: what an environment returns outside of them is refused, what it is sent lies within."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from faulty_environments import RIGHT, WRONG, OwnSpace, slug
from gymnasium import spaces

from composer.environments import EnvironmentFailure, Gymnasium
from composer.environments.interface import InvalidResult, UnusableEnvironment
from composer.environments.suites.gymnasium_spaces import UnsupportedSpace, action_layout, observation_layout

MODULE = "faulty_environments"
INF = np.inf


@pytest.mark.parametrize("what", WRONG)
def test_an_observation_outside_of_its_space_is_a_failure_that_names_both(what: str) -> None:
    vector = Gymnasium(module=MODULE, id=f"faulty/Observes{slug(what)}-v0").make([0], "training")
    with pytest.raises(EnvironmentFailure, match=r"decision 0: reset returned what it may not: .*(declared|keys)"):
        vector.reset()


@pytest.mark.parametrize("what", RIGHT)
def test_what_a_space_holds_is_taken_as_it_is(what: str) -> None:
    space, value, told = RIGHT[what]
    observed = observation_layout(space).convert(value)
    assert observed.dtype == np.float32
    np.testing.assert_array_equal(observed, np.float32(told))


def test_vectors_are_those_that_gymnasium_flattens() -> None:
    parts = {
        "z": spaces.MultiDiscrete([2, 3]),
        "a": spaces.Tuple([spaces.Discrete(4, start=2), spaces.Box(-9, 9, (2, 2), np.float64)]),
        "m": spaces.Dict(bits=spaces.MultiBinary([2, 2]), numbers=spaces.Box(0, 255, (3,), np.uint8)),
        "text": spaces.Text(5),
        "one": spaces.OneOf([spaces.Discrete(3), spaces.Box(0, 1, (2,))]),
    }
    space = spaces.Dict(parts)
    space.seed(0)
    layout = observation_layout(space)
    for _ in range(20):
        drawn = space.sample()
        np.testing.assert_array_equal(layout.convert(drawn), np.asarray(spaces.flatten(space, drawn), np.float32))


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1e6, (1,), np.float32),
        spaces.Box(5, 2e6, (1,), np.float32),
        spaces.Box(-1e9, 1e8, (1,), np.float64),
        spaces.Box(2.47555989989222, 6.96723158844476, (1,), np.float64),
        spaces.Box(0.1, 0.3, (1,), np.float16),
        spaces.Box(-5, INF, (1,), np.float32),
        spaces.Box(-1e30, 1e30, (1,), np.float32),
        spaces.Box(np.array([0.1, -INF, -3]), np.array([0.7, INF, 1e7]), dtype=np.float64),
    ],
)
def test_every_action_lies_in_its_space(space: spaces.Box) -> None:
    choose = action_layout(space).choose
    values = [-1.0, -1 / 3, 0.0, 0.1, 1.0, *np.random.default_rng(0).uniform(-1, 1, 200)]
    for value in values:
        told = choose(np.full(space.shape, value, np.float32))
        assert space.contains(told), (value, told)
    both = (space.low.astype(float) >= -1e9) & (space.high.astype(float) <= 1e9)
    ends = [choose(np.full(space.shape, value, np.float32)) for value in (-1.0, 1.0)]
    np.testing.assert_allclose(ends[0][both], space.low[both], rtol=1e-15)
    np.testing.assert_allclose(ends[1][both], space.high[both], rtol=1e-15)


@pytest.mark.parametrize("bounds", [(0, INF), (-INF, 0), (5, INF), (0, 1e30), (-0.5, INF)])
def test_bounds_that_cannot_be_respected_are_refused_with_words(bounds: tuple[float, float]) -> None:
    with pytest.raises(UnsupportedSpace, match=r"leave \[-1, 1\].*wrap the environment"):
        action_layout(spaces.Box(*bounds, (1,), np.float32))


def test_a_space_of_ones_own_is_refused_by_its_key_with_what_to_do() -> None:
    environment = Gymnasium(module=MODULE, id="faulty/OwnSpace-v0")
    with pytest.raises(UnusableEnvironment, match=r"observation\['mission'\] in .* is a space of its own.*wrapper"):
        environment.discover()
    for space in (OwnSpace(), spaces.Tuple([spaces.Discrete(2), OwnSpace()]), spaces.Graph(BOX, None), SEQUENCE):
        with pytest.raises(UnsupportedSpace, match="of which no vector can be made"):
            observation_layout(space)


BOX = spaces.Box(-1, 1, (3,), np.float32)
SEQUENCE = spaces.Dict(many=spaces.Sequence(BOX))


def test_an_infinite_number_beyond_a_bound_is_refused_and_nan_is_found_by_its_own_check() -> None:
    convert: Any = observation_layout(BOX).convert
    with pytest.raises(InvalidResult, match=r"observation is inf at \[1\], which is beyond the declared bounds"):
        convert(np.array([0, INF, 0], np.float32))
    assert np.isnan(convert(np.array([0, np.nan, 0], np.float32))[1])
