"""Averages follow their sources within an update. Tests: tests/training/test_averages.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from composer.networks.stacked import Stacked, per_seed
from composer.optim.averages import Average
from composer.optim.hyperparameters import Hyperparameters


class _Following(NamedTuple):
    average: Stacked
    source: Stacked
    """A network, or another average."""
    momentum: Callable[[Tensor], Tensor]
    """From updates done to the share that stays, ``[S]`` each."""


class MovingAverages:
    """Averages in declared order, each with its source."""

    def __init__(
        self,
        declared: Mapping[str, Average],
        networks: Mapping[str, Stacked],
        averages: Mapping[str, Stacked],
        hyperparameters: Hyperparameters,
    ) -> None:
        sources = {**networks, **averages}
        self._each = [
            _Following(averages[name], sources[average.of], average.momentum.build(hyperparameters))
            for name, average in declared.items()
        ]

    @torch.no_grad()
    def move(self, updates: Tensor) -> None:
        """``a = m a + (1 - m) w`` in place; ``updates [S]`` are those done before this one."""
        for each in self._each:
            keep, source = each.momentum(updates), each.source.averaged()
            for path, value in each.average.averaged().items():
                value.lerp_(source[path], per_seed(1 - keep, value))
