"""MuJoCo Playground: what is declared, its functions on a stand-in, the package's own task. Two need JAX."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest

from composer.environments import Playground
from composer.environments.interface import EnvironmentInfo, RenderingUnavailable, UnusableEnvironment
from composer.environments.suites.playground_functions import PlaygroundFunctions
from composer.environments.suites.task_tables import task_table
from composer.environments.vector.functional_vector import FunctionalVector

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")


def test_sizes_are_known_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Playground(task="CartpoleBalance", copies=4, action_repeat=2)
    assert declared.info == EnvironmentInfo((5,), 1, 1000, 2, terminates=True) and declared.metric_range == (0, 1000)
    assert [key for key, _ in Playground(task="WalkerRun", workers=2).problems(8, 1000, 4)] == ["environment.workers"]
    monkeypatch.setattr("composer.environments.vector.packages.find_spec", lambda name: None)
    with pytest.raises(UnusableEnvironment, match=r'pip install "rl-composer\[playground\]"'):
        declared.make([1], "training")


def test_tasks_have_the_sizes_of_those_of_dm_control() -> None:
    """Of 24 names, each once: ``CartpoleSwingupSparse`` is ``cartpole-swingup_sparse``."""
    theirs = {name.replace("-", "").replace("_", ""): task for name, task in task_table("dm_control").items()}
    named = {"BallInCup": "ballincupcatch", "PointMass": "pointmasseasy"}
    assert len(task_table("playground")) == 24
    for name, task in task_table("playground").items():
        other = theirs[named.get(name, name.lower())]
        assert replace(task, name="", terminates=False) == replace(other, name=""), name


class State(NamedTuple):
    obs: Any
    reward: Any
    done: Any


class Falling:
    """Playground's interface: a height that actions lower; below 0 the physics is not a number."""

    def reset(self, key: Any) -> State:
        import jax
        import jax.numpy as jnp

        return State(jax.random.uniform(key, (2,)) + 1, jnp.zeros(()), jnp.zeros(()))

    def step(self, state: State, action: Any) -> State:
        import jax.numpy as jnp

        height = state.obs - 0.2 * (action[0] > 0)
        diverged = (height < 0).any()
        return State(jnp.where(diverged, jnp.nan, height), height[0], diverged.astype(float))


@needs_jax
def test_a_divergence_is_a_failure_and_the_limit_a_truncation() -> None:
    from composer.environments.vector.jax_functions import JaxFunctions

    info = EnvironmentInfo((2,), 1, 12, 1, terminates=True)
    vector = FunctionalVector(info, [4, 9], JaxFunctions(PlaygroundFunctions(Falling(), 12), info, 2))
    vector.reset()
    ended: list[tuple[int, bool, bool]] = []
    for _ in range(24):
        step = vector.step(np.array([[1.0], [-1.0]], np.float32))
        assert np.isfinite(step.final_observation).all() and np.isfinite(step.reward).all()
        ended += [
            (row, bool(step.terminated[row]), bool(step.truncated[row]))
            for row in (step.terminated | step.truncated).nonzero()[0].tolist()
        ]
    assert (0, True, False) in ended and (1, True, False) not in ended
    assert [each for each in ended if each[0] == 1] == [(1, False, True)] * 2
    with pytest.raises(RenderingUnavailable):
        vector.render(0)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mujoco_playground") is None, reason="playground is not installed")
def test_a_task_is_that_of_the_package() -> None:
    """Slow: JAX compiles the physics, for minutes where its cache is empty."""
    import jax
    from mujoco_playground import registry

    own = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})
    vector = Playground(task="CartpoleBalance", episode_env_steps=5).make([3], "training")
    seen = vector.reset()
    seed = int(vector._running[0])  # type: ignore[attr-defined]
    key = jax.random.split(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32))[0]
    state = jax.jit(own.reset)(key)
    np.testing.assert_allclose(seen[0], state.obs, atol=1e-6)
    step = jax.jit(own.step)
    for at in range(5):
        state = step(state, np.array([0.5], np.float32))
        told = vector.step(np.array([[0.5]], np.float32))
        np.testing.assert_allclose(told.final_observation[0], state.obs, atol=1e-5)
        np.testing.assert_allclose(told.reward[0], state.reward, atol=1e-5)
        assert told.truncated.tolist() == [at == 4] and not told.terminated.any()
