"""Whether the seeds of an agent are updated one after another instead of all at once.

A stacked update computes every layer for all seeds, a layer at a time: of wide networks, what one layer has computed
has left the caches when the next one reads it. Imports no torch. Figures: docs/benchmarks/fleets.md. Tests:
tests/training/test_seeds_in_turn.py.
"""

from __future__ import annotations

from composer.algorithms.base import AgentDeclaration
from composer.blueprint.forecast.flops import agent_flops

IN_TURN_FLOPS = 4e9
"""Operations of one seed's update from which seeds take turns: measured on a CPU, eager and compiled."""


def takes_turns(agent: AgentDeclaration, device: str) -> bool:
    """Whether updates on ``device`` are made seed by seed.

    It follows from the declaration alone, never from a measurement: both ways are equal up to rounding only. Agents
    whose networks change while they learn, or that have a second agent beside them, are always stacked.
    """
    if device != "cpu" or len(agent.seeds) == 1:
        return False
    is_one_network = not any(each.do.changes_structure or each.do.needs_twin for each in agent.interventions.values())
    return is_one_network and agent_flops(agent) >= IN_TURN_FLOPS * len(agent.seeds)
