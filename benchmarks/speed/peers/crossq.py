"""CrossQ of stable-baselines3's contrib package, and of SBX, as candidates: each with its own networks.

Their actors are computed every third update; this project's is computed at every update, and steps at every third.
Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.speed.counting import size
from benchmarks.speed.peers.spaces import sizes
from benchmarks.speed.peers.stable_baselines import TrainSubject, fill

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload


class ContribSubject(TrainSubject):
    """An agent without target networks."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters by this project's names of the networks."""
        counts = {name: size(getattr(self.model, name).parameters()) for name in ("actor", "critic")}
        return counts | {"temperature": self.model.log_ent_coef.numel()}


def contrib(workload: AgentWorkload, candidate: Candidate) -> ContribSubject:
    """The agent of the workload's blueprint, as closely as the contrib package allows."""
    from sb3_contrib import CrossQ

    model = CrossQ(*_arguments(workload), device="cpu", **_settings(workload))
    fill(model, workload)
    return ContribSubject(model, workload.load().algorithm.batch_size)


def sbx(workload: AgentWorkload, candidate: Candidate) -> Any:
    """The agent of the workload's blueprint, as closely as SBX allows."""
    import sbx as library

    from benchmarks.speed.peers.sbx import JaxSubject, leaves

    class Subject(JaxSubject):
        """An agent without target networks."""

        def parameters(self) -> Mapping[str, int]:
            """Parameters by this project's names of the networks."""
            held = {"actor": self._model.policy.actor_state, "critic": self._model.policy.qf_state}
            counts = {name: leaves(state.params) for name, state in held.items()}
            return counts | {"temperature": leaves(self._model.ent_coef_state.params)}

    model = library.CrossQ(*_arguments(workload), **_settings(workload))
    fill(model, workload)
    return Subject(model, workload.load().algorithm.batch_size)


def _arguments(workload: AgentWorkload) -> tuple[Any, ...]:
    return "MlpPolicy", sizes(workload.load())


def _settings(workload: AgentWorkload) -> dict[str, Any]:
    """Hyper-parameters under the names of both; batch renorm, and Adam with beta1 0.5, are their defaults too."""
    blueprint = workload.load()
    algorithm: Any = blueprint.algorithm
    optimizer: Any = blueprint.optimizers["critic"]
    return {
        "learning_rate": optimizer.learning_rate.value,
        "buffer_size": workload.rows,
        "learning_starts": algorithm.warmup_interactions,
        "batch_size": algorithm.batch_size,
        "gamma": algorithm.discount.value_for(blueprint.environment.info),
        "policy_delay": algorithm.policy_delay,
        "policy_kwargs": {"net_arch": list(workload.hidden or ()), "n_critics": blueprint.networks["critic"].copies},
        "seed": 0,
    }
