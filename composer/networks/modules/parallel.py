"""Modules side by side. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Parallel(nn.ModuleList):
    """Branches on the same input, their outputs joined: by entry (sum, mean, multiply) or end to end (concatenate)."""

    def __init__(self, branches: Sequence[nn.Module], join: str, axis: int = -1) -> None:
        """``axis``, counted from the last, is where outputs are concatenated."""
        super().__init__(branches)
        self.join, self.axis = join, axis

    def forward(self, x: Tensor) -> Tensor:
        """The joined outputs."""
        return joined([branch(x) for branch in self], self.join, self.axis)


def joined(outputs: Sequence[Tensor], join: str, axis: int) -> Tensor:
    """Tensors as one: ``sum``, ``mean`` or ``multiply`` by entry, or ``concatenate`` along ``axis``."""
    if join == "concatenate":
        return torch.cat(list(outputs), axis)
    first = outputs[0]
    for output in outputs[1:]:
        first = first * output if join == "multiply" else first + output
    return first / len(outputs) if join == "mean" else first
