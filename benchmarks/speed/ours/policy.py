"""This project's policy as a candidate: what the training loop does between two observations.

Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.speed.counting import size
from benchmarks.speed.ours.learning import DEVICE
from composer.training.compile.capture import Choice
from composer.training.learner import Learner

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.agents import Deciding


class PolicySubject:
    """An untrained agent that acts."""

    units = 1

    def __init__(self, agent: Learner, observation: tuple[int, ...]) -> None:
        """``observation`` is its shape."""
        self._agent = agent
        self._seen = np.random.default_rng(0).standard_normal((1, *observation), np.float32)

    def call(self) -> None:
        """Map an array to an array, as ``composer.training.collect.simulation`` does."""
        observation = torch.from_numpy(self._seen).unflatten(0, (1, 1))
        action = self._agent.act(observation)
        self._agent.program.to_env_action(action).flatten(0, 1).cpu().numpy()

    def settle(self) -> None:
        """Nothing is pending."""

    def parameters(self) -> Mapping[str, int]:
        """Parameters of the actor."""
        return {"actor": size(self._agent.networks["actor"].parameters.values())}

    def flops(self) -> int:
        """Not counted: too few to matter."""
        return 0


def policy(workload: Deciding, candidate: Candidate) -> PolicySubject:
    """The actor of the workload's blueprint."""
    blueprint = workload.load()
    info = blueprint.environment.info
    return PolicySubject(Learner(blueprint.agent, DEVICE, Choice(False, "a policy is not compiled")), info.observation)
