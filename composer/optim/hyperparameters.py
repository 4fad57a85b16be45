"""Hyper-parameters as tensors, one value per seed: variants that differ in numbers alone run the same program.

Tests: tests/training/test_population.py.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Hyperparameters:
    """The numbers that enter the updates of one agent, each a tensor ``[S, ...]`` that updates read and never write.

    Whoever computes with a number makes it here. The order is the same for agents that differ in numbers alone, so that
    agents can be stacked. No checkpoint holds these tensors: a resumed agent makes them again.
    """

    def __init__(self, seeds: int, device: str | torch.device) -> None:
        """Of an agent of S = ``seeds`` seeds; ``tensors`` is empty at first."""
        self.seeds, self.device = seeds, device
        self.tensors: list[Tensor] = []
        """In the order in which they were made."""
        self.phase_start: Tensor | None = None
        """Updates made when the present phase began, float64 ``[S]``: state, which learners save. None: never read."""

    def phase_begin(self) -> Tensor:
        """``phase_start``, which is kept from now on."""
        if self.phase_start is None:
            self.phase_start = torch.zeros(self.seeds, dtype=torch.float64, device=self.device)
        return self.phase_start

    def number(self, value: float, *ones: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """``value`` for every seed, ``[S, *ones]``; trailing axes of length 1 broadcast against batches."""
        return self.keep(torch.full((self.seeds, *ones), value, dtype=dtype, device=self.device))

    def keep(self, value: Tensor) -> Tensor:
        """``value [S, ...]`` itself, listed with the others."""
        self.tensors.append(value)
        return value
