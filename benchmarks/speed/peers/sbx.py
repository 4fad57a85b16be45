"""SBX's SAC as a candidate: stable-baselines3's replay buffer, JAX's arithmetic, and SBX's own networks.

Its critics are always as many networks in one; SimBa's blocks are told by a width each.
Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import optax
import sbx
from sbx.sac.policies import SACPolicy, SimbaSACPolicy

from benchmarks.speed.peers.spaces import sizes
from benchmarks.speed.peers.stable_baselines import fill, quiet, settings

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint

SIMBA = {"pi": [128], "qf": [512, 512]}
"""Widths of the blocks of ``dmc/sac_simba``; the check of parameters refuses other blueprints."""


class JaxSubject:
    """One agent with a full replay buffer."""

    units = 1

    def __init__(self, model: Any, batch: int) -> None:
        """``batch`` samples a gradient step."""
        self._model: Any = quiet(model)
        self._batch = batch

    def call(self) -> None:
        """One gradient step, as its own loop calls it by default."""
        self._model.train(gradient_steps=1, batch_size=self._batch)

    def settle(self) -> None:
        """Wait for JAX's queue."""
        policy = self._model.policy
        jax.block_until_ready((policy.qf_state.params, policy.actor_state.params))

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        model = self._model
        return {
            "actor": leaves(model.policy.actor_state.params),
            "critic": leaves(model.policy.qf_state.params),
            "target_critic": leaves(model.policy.qf_state.target_params),
            "temperature": leaves(model.ent_coef_state.params),
        }

    def flops(self) -> int:
        """Unknown: torch's counter does not see JAX."""
        return 0


def sac(workload: AgentWorkload, candidate: Candidate) -> JaxSubject:
    """The agent of the workload's blueprint, as closely as SBX allows."""
    blueprint = workload.load()
    model = model_of(blueprint, workload, sizes(blueprint))
    fill(model, workload)
    return JaxSubject(model, blueprint.algorithm.batch_size)


def model_of(blueprint: Blueprint, workload: AgentWorkload, environment: VecEnv) -> sbx.SAC:
    """SAC over ``environment``."""
    optimizer: Any = blueprint.optimizers["critic"]
    decayed = optimizer.kind == "adamw"
    policy = {
        "net_arch": SIMBA if workload.hidden is None else list(workload.hidden),
        "n_critics": blueprint.networks["critic"].copies,
        "optimizer_class": optax.adamw if decayed else optax.adam,
        "optimizer_kwargs": {"weight_decay": optimizer.weight_decay} if decayed else {},
    }
    kind = SimbaSACPolicy if workload.hidden is None else SACPolicy
    return sbx.SAC(kind, environment, policy_kwargs=policy, policy_delay=1, **settings(blueprint, workload))


def leaves(tree: Any) -> int:
    """Number of elements in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree_util.tree_leaves(tree))
