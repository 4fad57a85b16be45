"""Scalars that updates report, read once a logging interval. Tests: tests/training/test_learner.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    pass


class Signals:
    """Scalars that an update reports, summed on the device and read once a logging interval: one transfer."""

    def __init__(self, names: Sequence[str], seeds: int, device: str) -> None:
        """Nothing has been reported."""
        self._names = names
        self.sums = torch.zeros(len(names) + 1, seeds, device=device)
        """How many updates, then the sum of each signal, by seed: state of the agent."""

    def add(self, told: Mapping[str, Tensor]) -> None:
        """Take in one update's signals, ``[S]`` each."""
        ones = torch.ones_like(self.sums[0])
        self.sums.add_(torch.stack([ones, *(told[name] for name in self._names)]))

    def drain(self) -> list[dict[str, float]]:
        """Means since the last call, a dict a seed, empty without updates."""
        sums = self.sums.to("cpu", copy=True)  # On a CPU, plain ``.cpu()`` would be the very tensor zeroed below.
        self.sums.zero_()
        return [
            {name: float(sums[row + 1, seed] / sums[0, seed]) for row, name in enumerate(self._names)}
            if sums[0, seed]
            else {}
            for seed in range(sums.shape[1])
        ]
