"""How many floating-point operations an update takes, counted from what the algorithm says that it evaluates.

A network's outline counts one sample forward (a multiply-add is two). The convention of ``Passes`` does the rest.
Optimizers and averages take a few operations a parameter, less than one sample of the batch; they are not counted.
Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from composer.algorithms.declared import Passes
from composer.blueprint.forecast.memory import sound_outlines
from composer.blueprint.schema import Blueprint


@dataclass(frozen=True)
class Evaluation:
    """One evaluation in an update, on the whole batch, all copies and seeds together."""

    network: str
    passes: Passes
    flops: int


def evaluations(blueprint: Blueprint) -> list[Evaluation]:
    """Everything that one update evaluates, in order."""
    forward = {
        role: outline.total_flops() * blueprint.networks[role].copies
        for role, outline in sound_outlines(blueprint).items()
    }
    forward |= {name: forward[average.of] for name, average in blueprint.averages.items()}
    samples = blueprint.algorithm.batch_size * len(blueprint.seeds)
    return [
        Evaluation(network, passes, passes.value * forward[network] * samples)
        for network, passes in blueprint.algorithm.evaluations()
    ]


def update_flops(blueprint: Blueprint) -> int:
    """Floating-point operations of one update, all seeds together."""
    return sum(evaluation.flops for evaluation in evaluations(blueprint))
