"""Policies of stable-baselines3 and SBX as candidates: ``predict`` with exploration. Tests: as for ``loops``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.peers.spaces import sizes

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.agents import Deciding


class PredictSubject:
    """An untrained agent that acts."""

    units = 1

    def __init__(self, model: Any, actor: int) -> None:
        """``actor`` is the number of its actor's parameters."""
        self._model, self._actor = model, actor
        shape = model.observation_space.shape
        self._seen = np.random.default_rng(0).standard_normal((1, *shape), np.float32)

    def call(self) -> None:
        """Map an array to an array."""
        self._model.predict(self._seen, deterministic=False)

    def settle(self) -> None:
        """Nothing is pending: the action is an array."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters of the actor."""
        return {"actor": self._actor}

    def flops(self) -> int:
        """Not counted: too few to matter."""
        return 0


def stable_baselines(workload: Deciding, candidate: Candidate) -> PredictSubject:
    """SAC's actor of stable-baselines3."""
    from benchmarks.speed.counting import size
    from benchmarks.speed.peers.stable_baselines import model_of

    blueprint = workload.load()
    model: Any = model_of(blueprint, workload, sizes(blueprint))
    return PredictSubject(model, size(model.actor.parameters()))


def sbx(workload: Deciding, candidate: Candidate) -> PredictSubject:
    """SAC's actor of SBX."""
    from benchmarks.speed.peers.sbx import leaves, model_of

    blueprint = workload.load()
    model: Any = model_of(blueprint, workload, sizes(blueprint))
    return PredictSubject(model, leaves(model.policy.actor_state.params))
