"""Craftax: what is declared, environments in JAX, and the package's own games. What needs JAX skips without it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from composer.environments import Craftax
from composer.environments.interface import EnvironmentInfo, UnusableEnvironment
from composer.environments.suites.craftax import GAMES
from composer.environments.vector.functional_vector import FunctionalVector

INFO = EnvironmentInfo((2,), 3, episode_env_steps=7, action_repeat=1, terminates=True, discrete=True)


def test_sizes_and_problems_are_known_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    full, classic = Craftax(copies=32, optimistic_resets=16), Craftax(game="classic", episode_env_steps=500)
    assert full.info == EnvironmentInfo((8268,), 43, 100_000, 1, True, True)
    assert classic.from_pixels().info == EnvironmentInfo((3, 63, 63), 17, 500, 1, True, True, True)  # type: ignore[union-attr]
    assert full.for_evaluation().optimistic_resets == 0 and full.title == "craftax-full"
    assert not [*full.problems(64, 10_000, 1)]
    wrong = full.model_copy(update={"copies": 30, "workers": 2})
    assert [key for key, _ in wrong.problems(64, 10_000, 1)] == ["environment.workers", "environment.optimistic_resets"]
    monkeypatch.setattr("composer.environments.vector.packages.find_spec", lambda name: None)
    with pytest.raises(UnusableEnvironment, match=r'needs jax and craftax: pip install "rl-composer\[craftax\]"'):
        full.make([1], "training")


class Drift:
    """A number that noise and actions move, until it leaves [-3, 3] or seven steps have passed."""

    def reset(self, key: Any) -> Any:
        import jax

        return {"x": jax.random.normal(key), "time": 0, "flag": True}

    def step(self, key: Any, state: Any, action: Any) -> Any:
        import jax

        x, time = state["x"] + jax.random.normal(key) + action - 1, state["time"] + 1
        died = abs(x) > 3
        return {"x": x, "time": time, "flag": ~state["flag"]}, x, died, (time >= 7) & ~died

    def observe(self, state: Any) -> Any:
        import jax.numpy as jnp

        return jnp.stack([state["x"], state["time"].astype(jnp.float32)])

    def scores(self, state: Any) -> Any:
        return {"evaluation/time": state["time"]}

    def render(self, state: Any) -> Any:
        import jax.numpy as jnp

        return jnp.full((2, 2, 3), state["time"], jnp.uint8)


def drift(seeds: list[int], repeat: int = 1, at_once: int = 1) -> FunctionalVector:
    from dataclasses import replace

    from composer.environments.vector.jax_functions import JaxFunctions

    info = replace(INFO, action_repeat=repeat)
    functions = JaxFunctions(Drift(), info, len(seeds))
    functions._rows_at_once = at_once
    return FunctionalVector(info, seeds, functions)


def actions(count: int, n: int, size: int = 3) -> Any:
    return np.eye(size, dtype=np.float32)[np.random.default_rng(1).integers(0, size, (count, n))]


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_rows_in_jax_are_independent_compile_once_and_go_on_from_their_bytes() -> None:
    seeds, taken = [5, 9, 2**62, 7], actions(40, 4)
    together, alone, wide = drift(seeds), drift(seeds[2:3]), drift(seeds, at_once=3)
    first, half = together.reset(), taken.copy()
    np.testing.assert_array_equal(alone.reset(), first[2:3])
    np.testing.assert_array_equal(wide.reset(), first)
    died = cut = 0
    for at, each in enumerate(half):
        step, one, other = together.step(each), alone.step(each[2:3]), wide.step(each)
        np.testing.assert_array_equal(one.final_observation, step.final_observation[2:3])
        np.testing.assert_array_equal(one.observation, step.observation[2:3])
        np.testing.assert_array_equal(other.observation, step.observation)
        np.testing.assert_array_equal(step.terminated, abs(step.final_observation[:, 0]) > 3)
        died, cut = died + step.terminated.sum(), cut + step.truncated.sum()
        if at == 20:
            saved = together.state()
    assert died > 3 and cut > 1
    resumed = drift(seeds)
    resumed.load_state(saved)
    for each in half[21:]:
        expected = resumed.step(each)
    np.testing.assert_array_equal(expected.observation, step.observation)
    np.testing.assert_array_equal(expected.episode_return, step.episode_return)
    assert together._functions._move._cache_size() == 1  # type: ignore[attr-defined]
    assert together.render(0).shape == (2, 2, 3)


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_an_action_repeat_sums_rewards_and_stops_where_the_episode_does() -> None:
    vector = drift([5, 9, 1], repeat=3)
    vector.reset()
    lengths = np.zeros(3, np.int64)
    for each in actions(30, 3):
        step = vector.step(each)
        ended, lengths = step.terminated | step.truncated, step.episode_length - lengths
        assert (lengths[~ended] == 3).all() and ((lengths >= 1) & (lengths <= 3)).all()
        np.testing.assert_array_equal(step.final_observation[:, 1], step.episode_length)
        np.testing.assert_array_equal(step.truncated, (step.episode_length == 7) & ~step.terminated)
        lengths = np.where(ended, 0, step.episode_length)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("jax") is None or find_spec("craftax") is None, reason="Craftax is not installed")
@pytest.mark.parametrize("game", [*GAMES])
def test_games_are_those_of_the_package(game: Any) -> None:
    """Slow: JAX compiles both games, for a minute or two each where its cache is empty."""
    import jax
    from craftax.craftax_env import make_craftax_env_from_name

    name = "Craftax-Symbolic-v1" if game == "full" else "Craftax-Classic-Symbolic-v1"
    own, declared = make_craftax_env_from_name(name, auto_reset=False), Craftax(game=game, episode_env_steps=25)
    assert (own.num_actions, own.default_params.max_timesteps) == GAMES[game][2:4]
    vector = declared.make([3, 4], "training")
    observation = vector.reset()
    seed = int(vector._running[0])  # type: ignore[attr-defined]
    begin, play = jax.random.split(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32))
    step = jax.jit(own.step_env)
    seen, state = jax.jit(own.reset_env)(begin, own.default_params)
    np.testing.assert_array_equal(observation[0], seen)
    for at, taken in enumerate(actions(25, 2, own.num_actions)):
        told = vector.step(taken)
        key = jax.random.split(jax.random.fold_in(play, at), 1)[0]
        seen, state, reward, done, _ = step(key, state, taken[0].argmax(), own.default_params)
        np.testing.assert_allclose(told.final_observation[0], seen, atol=1e-6)
        np.testing.assert_allclose(told.reward[0], reward, atol=1e-6)
        assert not done and told.truncated.tolist() == [at == 24] * 2 and not told.terminated.any()
    assert told.observation[0, -1] == observation[0, -1]
    pictures = declared.from_pixels()
    assert pictures is not None and pictures.make([3], "training").reset().shape == (1, *GAMES[game].picture)
