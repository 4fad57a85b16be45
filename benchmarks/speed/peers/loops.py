"""Training loops of stable-baselines3 and SBX as candidates: their own collecting and training, one decision a call.

The environment is what a user would install: shimmy over dm_control, flattened by Gymnasium, the action repeated by a
wrapper. Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.wrappers import DtypeObservation, FlattenObservation
from shimmy import DmControlCompatibilityV0
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.speed.peers.stable_baselines import quiet
from composer.environments.suites.dm_control_single import load_suite

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.agents import Looping
    from composer.blueprint import Blueprint


class Repeated(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeats every action; rewards are summed."""

    def __init__(self, environment: gymnasium.Env[Any, Any], times: int) -> None:
        """Repeat ``times`` times, or until the episode ends."""
        super().__init__(environment)
        self._times = times

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One decision."""
        total = 0.0
        for _ in range(self._times):
            observation, reward, terminated, truncated, told = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, told


class LoopSubject:
    """A run after its warm-up."""

    units = 1

    def __init__(self, model: Any, counts: Mapping[str, int]) -> None:
        """``model`` learns from a buffer."""
        self._model: Any = quiet(model)
        self._counts = counts
        _, self._callback = self._model._setup_learn(10**9)
        while self._model._n_updates == 0:
            self.call()

    def call(self) -> None:
        """One iteration of ``learn``: collect one transition, then one gradient step."""
        model = self._model
        model.collect_rollouts(
            model.env,
            callback=self._callback,
            train_freq=model.train_freq,
            replay_buffer=model.replay_buffer,
            learning_starts=model.learning_starts,
            log_interval=4,
        )
        if model.num_timesteps > model.learning_starts:
            model.train(gradient_steps=1, batch_size=model.batch_size)

    def settle(self) -> None:
        """Nothing is pending: losses are read back at every step."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters of the trained networks."""
        return self._counts

    def flops(self) -> int:
        """Not counted here but in the learner's workload."""
        return 0


def stable_baselines(workload: Looping, candidate: Candidate) -> LoopSubject:
    """SAC of stable-baselines3."""
    from benchmarks.speed.counting import size
    from benchmarks.speed.peers.stable_baselines import model_of

    blueprint = workload.load()
    model: Any = model_of(blueprint, workload, _environment(blueprint))
    return LoopSubject(model, {"actor": size(model.actor.parameters()), "critic": size(model.critic.parameters())})


def sbx(workload: Looping, candidate: Candidate) -> LoopSubject:
    """SAC of SBX."""
    from benchmarks.speed.peers.sbx import leaves, model_of

    blueprint = workload.load()
    model: Any = model_of(blueprint, workload, _environment(blueprint))
    held = model.policy
    return LoopSubject(model, {"actor": leaves(held.actor_state.params), "critic": leaves(held.qf_state.params)})


def _environment(blueprint: Blueprint) -> DummyVecEnv:
    declared: Any = blueprint.environment
    domain, task = declared.task.split("-")

    def make() -> gymnasium.Env[Any, Any]:
        inner = DmControlCompatibilityV0(load_suite().load(domain, task))
        return Repeated(DtypeObservation(FlattenObservation(inner), np.float32), declared.action_repeat)

    return DummyVecEnv([make])
