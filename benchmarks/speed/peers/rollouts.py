"""PPO of stable-baselines3 and of SBX as candidates: their own ``train`` over a full rollout buffer.

Both take values and log-densities while they collect, which is not in the time; this project judges a rollout when it
is whole, which is. Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3 import PPO

from benchmarks.speed.counting import count_flops, size
from benchmarks.speed.peers.spaces import sizes
from benchmarks.speed.peers.stable_baselines import quiet
from benchmarks.speed.workloads.contents import transitions

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload


class PhaseSubject:
    """One agent with a full rollout."""

    def __init__(self, model: Any, updates: int, counts: Mapping[str, int], counted: bool) -> None:
        """``updates`` per rollout; ``counted`` where torch sees the operations."""
        self._model: Any = quiet(model)
        self._counts, self._counted = counts, counted
        self.units = updates

    def call(self) -> None:
        """All epochs."""
        self._model.train()

    def settle(self) -> None:
        """Nothing is pending: losses are read back at every step."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        return self._counts

    def flops(self) -> int:
        """Operations of one gradient step."""
        return count_flops(self.call) // self.units if self._counted else 0


def stable_baselines_ppo(workload: AgentWorkload, candidate: Candidate) -> PhaseSubject:
    """PPO of stable-baselines3."""
    model, updates = _model(workload, PPO, {"device": "cpu"})
    policy = model.policy
    counts = {
        "actor": size([*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters(), policy.log_std]),
        "critic": size([*policy.mlp_extractor.value_net.parameters(), *policy.value_net.parameters()]),
    }
    buffer = model.rollout_buffer
    with torch.no_grad():
        value, density, _ = policy.evaluate_actions(*(torch.from_numpy(each) for each in _flat(buffer)))
    _judge(buffer, value.numpy(), density.numpy())
    return PhaseSubject(model, updates, counts, counted=True)


def sbx_ppo(workload: AgentWorkload, candidate: Candidate) -> PhaseSubject:
    """PPO of SBX."""
    import sbx

    from benchmarks.speed.peers.sbx import leaves

    model, updates = _model(workload, sbx.PPO, {})
    policy = model.policy
    buffer = model.rollout_buffer
    seen, done = _flat(buffer)
    value = policy.vf_state.apply_fn(policy.vf_state.params, seen)
    density = policy.actor_state.apply_fn(policy.actor_state.params, seen).log_prob(done)
    _judge(buffer, np.asarray(value), np.asarray(density))
    counts = {"actor": leaves(policy.actor_state.params), "critic": leaves(policy.vf_state.params)}
    return PhaseSubject(model, updates, counts, counted=False)


def _model(workload: AgentWorkload, kind: Any, more: Mapping[str, Any]) -> tuple[Any, int]:
    """An agent whose rollout buffer has the synthetic contents, and its updates per rollout."""
    blueprint = workload.load()
    algorithm: Any = blueprint.algorithm
    optimizer: Any = blueprint.optimizers["actor"]
    copies, length = getattr(blueprint.environment, "copies", 1), algorithm.rollout_interactions
    model = kind(
        "MlpPolicy",
        sizes(blueprint, copies),
        learning_rate=optimizer.learning_rate.start,
        n_steps=length,
        batch_size=algorithm.batch_size,
        n_epochs=algorithm.epochs,
        gamma=algorithm.discount.value,
        gae_lambda=algorithm.gae_lambda,
        clip_range=algorithm.clip_ratio.value,
        max_grad_norm=optimizer.max_gradient_norm,
        policy_kwargs={"net_arch": {"pi": list(workload.hidden or ()), "vf": list(workload.hidden or ())}},
        seed=0,
        **more,
    )
    held, buffer = transitions(length * copies, blueprint.environment.info), model.rollout_buffer
    buffer.observations[:] = held.observation.reshape(length, copies, -1)
    buffer.actions[:] = held.action.reshape(length, copies, -1)
    buffer.rewards[:] = held.reward.reshape(length, copies)
    buffer.pos, buffer.full = length, True
    return model, algorithm.epochs * algorithm.minibatches


def _flat(buffer: Any) -> tuple[Any, Any]:
    """Observations and actions ``[n, ...]``."""
    return tuple(each.reshape(-1, each.shape[-1]) for each in (buffer.observations, buffer.actions))


def _judge(buffer: Any, value: Any, density: Any) -> None:
    buffer.values[:] = value.reshape(buffer.values.shape)
    buffer.log_probs[:] = density.reshape(buffer.log_probs.shape)
    buffer.compute_returns_and_advantage(torch.zeros(buffer.n_envs), np.zeros(buffer.n_envs))
