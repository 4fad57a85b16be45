"""Modules side by side. Tests: tests/papers/test_vector_blocks.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class Parallel(nn.ModuleList):
    """Branches on the same input, their outputs joined: by entry (sum, mean, multiply) or end to end (concatenate)."""

    def __init__(
        self,
        branches: Sequence[nn.Module],
        join: Literal["sum", "mean", "multiply", "concatenate"],
        axis: int = -1,
    ) -> None:
        """``axis``, counted from the last, is where outputs are concatenated."""
        super().__init__(branches)
        self.join, self.axis = join, axis

    def forward(self, x: Tensor) -> Tensor:
        """The joined outputs."""
        outputs = [branch(x) for branch in self]
        if self.join == "concatenate":
            return torch.cat(outputs, self.axis)
        joined: Tensor = outputs[0]
        for output in outputs[1:]:
            joined = joined * output if self.join == "multiply" else joined + output
        return joined / len(outputs) if self.join == "mean" else joined
