"""A network as a module: a trunk and a head. Tests: tests/papers/test_simba_network.py."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from composer.networks.sequences import Sequences


class TrunkAndHead(nn.Module):
    """``head(trunk(x))``."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, x: Tensor | Sequences) -> Any:
        """Input [..., features]; output as the head documents it. Of sequences, also the memory after every moment."""
        if isinstance(x, Sequences):
            features, memory = self.trunk(*x)
            return self.head(features), memory
        return self.head(self.trunk(x))
