"""Scalars that updates report, read once per logging interval. Tests: tests/training/test_learner.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer.spec.errors import ComposerError

if TYPE_CHECKING:
    from composer.algorithms.base import Algorithm
    from composer.environments.interface import EnvironmentInfo


class UndeclaredSignals(ComposerError, ValueError):
    """An algorithm declares other signals than its program reports: a bug of the kind."""

    exit_code = 2


def declared_signals(algorithm: Algorithm, info: EnvironmentInfo, reported: Sequence[str]) -> Sequence[str]:
    """The signals that the program reports; raises UndeclaredSignals where the algorithm declares others."""
    declared = algorithm.metrics(info)
    if declared is not None and {each.name for each in declared} != set(reported):
        names = ", ".join(sorted({each.name for each in declared} ^ set(reported)))
        raise UndeclaredSignals(f"{algorithm.kind!r} declares other metrics than its program reports: {names}")
    return reported


class SignalMeans:
    """Scalars that updates report, summed on the device and read once per logging interval, with one transfer."""

    def __init__(self, names: Sequence[str], seeds: int, device: str) -> None:
        """Sums of zero."""
        self._names = names
        self.sums = torch.zeros(len(names) + 1, seeds, device=device)
        """``[1 + signals, S]``: the count of updates, then the sum of each signal."""

    def add(self, reported: Mapping[str, Tensor]) -> None:
        """Add one update's signals, ``[S]`` each."""
        ones = torch.ones_like(self.sums[0])
        self.sums.add_(torch.stack([ones, *(reported[name] for name in self._names)]))

    def drain(self) -> list[dict[str, float]]:
        """Means since the last call, a dict for each seed, empty without updates."""
        # On a CPU, plain ``.cpu()`` would return the tensor that is zeroed below.
        sums = self.sums.to("cpu", copy=True)
        self.sums.zero_()
        return [
            {name: float(sums[row + 1, seed] / sums[0, seed]) for row, name in enumerate(self._names)}
            if sums[0, seed]
            else {}
            for seed in range(sums.shape[1])
        ]
