"""The residual connection as a module. Tests: tests/contracts/test_blocks.py, tests/papers/test_simba_network.py."""

from __future__ import annotations

from torch import Tensor, nn


class Skip(nn.Module):
    """``y = x + block(x)``: any shape that ``block`` keeps."""

    def __init__(self, block: nn.Module) -> None:
        """Wrap ``block``."""
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """The sum, of the input's shape."""
        y: Tensor = x + self.block(x)
        return y
