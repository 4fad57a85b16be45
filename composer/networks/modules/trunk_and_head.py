"""A network as a module: a trunk and a head. Tests: tests/papers/test_simba_network.py."""

from __future__ import annotations

from torch import Tensor, nn


class TrunkAndHead(nn.Module):
    """``head(trunk(x))``."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Input [..., features]; output as the head documents it."""
        output: Tensor | tuple[Tensor, Tensor] = self.head(self.trunk(x))
        return output
