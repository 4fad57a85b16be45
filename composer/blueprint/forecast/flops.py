"""Floating-point operations of an update, from the evaluations that the algorithm declares.

A network's outline counts one sample forward (a multiply-add is two operations); ``Passes`` gives the factor for
gradients. Optimizers and averages take a few operations per parameter, less than one sample, and are not counted.
Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from composer.algorithms.base import AgentDeclaration
from composer.algorithms.declared import Passes
from composer.blueprint.schema import Blueprint
from composer.optim.averages import averaged_networks


@dataclass(frozen=True)
class EvaluationCost:
    """Operations of one evaluation of a network, on whole batches, all copies and seeds together."""

    network: str
    passes: Passes
    flops: int
    batches: int = 1


def evaluations(agent: AgentDeclaration) -> list[EvaluationCost]:
    """The evaluations of one update, in order, without optional averages that are not declared."""
    outlines = agent.sound_outlines
    forward = {role: outline.total_flops() * agent.networks[role].copies for role, outline in outlines.items()}
    forward |= {name: forward[role] for name, role in averaged_networks(agent.averages).items()}
    samples = agent.algorithm.batch_size * len(agent.seeds)
    return [
        EvaluationCost(network, passes, passes.value * forward[network] * samples * batches, batches)
        for network, passes, batches in agent.algorithm.evaluations()
        if network in forward
    ]


def update_flops(blueprint: Blueprint) -> int:
    """Floating-point operations of one update, all seeds together."""
    return agent_flops(blueprint.agent)


def agent_flops(agent: AgentDeclaration) -> int:
    """Floating-point operations of one update of an agent, all seeds together."""
    return sum(evaluation.flops for evaluation in evaluations(agent))
