"""Modules with frozen parameters, and modules that pass no gradient to their input.

Specs: composer/networks/blocks/detached.py, frozen.py.
Tests: tests/networks/test_frozen.py.
"""

from __future__ import annotations

from torch import Tensor, nn


class Frozen(nn.Module):
    """``block`` with parameters that require no gradients; gradients pass through it to its input."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """``block(x)``."""
        y: Tensor = self.block(x)
        return y


class Detached(nn.Module):
    """``block`` of an input to which no gradient flows back."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """``block(x.detach())``."""
        y: Tensor = self.block(x.detach())
        return y
