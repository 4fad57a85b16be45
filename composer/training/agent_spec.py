"""An agent as it was declared: where its modules, outlines and first weights come from.

Tests: tests/diagnostics/test_readings.py, tests/interventions/test_injection.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from composer.algorithms.base import Algorithm
from composer.environments.interface import EnvironmentInfo
from composer.networks.network import Network
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall


@dataclass(frozen=True)
class AgentSpec:
    """The networks by role, the algorithm that says what they read, and the environment's description."""

    networks: Mapping[str, Network]
    algorithm: Algorithm
    info: EnvironmentInfo

    def outline(self, role: str) -> Outline:
        """One copy of a network without what interventions have added to it."""
        return self.networks[role].outline(self.algorithm.network_inputs(self.info)[role], self.info.action_size)

    def module(self, role: str) -> LazyCall:
        """How one copy is built."""
        return self.networks[role].module(self.algorithm.network_inputs(self.info)[role], self.info.action_size)
