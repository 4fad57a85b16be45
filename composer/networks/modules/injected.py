"""A network after plasticity injection: fresh terms that cancel beside its last layers.

Source: Nikishin et al., Deep reinforcement learning with plasticity injection, arXiv:2305.15555.
Tests: tests/interventions/test_injection.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class Tail(nn.Module):
    """The last layers of a network and its head."""

    def __init__(self, trunk: nn.Sequential, head: nn.Module) -> None:
        """``trunk`` are the layers after the encoder, in order; there may be none."""
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, z: Tensor) -> Tensor:
        """From the encoder's features to the head's output."""
        output: Tensor = self.head(self.trunk(z))
        return output


class Injection(nn.Module):
    """One injection: the new term, and its frozen twin where the third term is wanted."""

    def __init__(self, new: nn.Module, twin: nn.Module | None) -> None:
        """``twin`` has the shape of ``new``."""
        super().__init__()
        self.new = new
        if twin is not None:
            self.twin = twin
        self.cancels = twin is not None

    def forward(self, z: Tensor) -> Tensor:
        """``new(z) - twin(z)``: exactly zero while their parameters are equal."""
        term: Tensor = self.new(z)
        return term - self.twin(z) if self.cancels else term


class Injected(nn.Module):
    """``h(z) + sum of (new(z) - twin(z))`` with features ``z`` that all terms share.

    ``trunk`` and ``head`` are the network's own, under their own names; its first ``split`` layers are the encoder.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, split: int, injections: Sequence[nn.Module]) -> None:
        """``split`` counts layers of a sequence; any other trunk is one layer. Terms take the encoder's output."""
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.split = split
        self.injections = nn.ModuleList(injections)

    def forward(self, x: Tensor) -> Tensor:
        """Input [..., features]; output as the head documents it."""
        layers = list(self.trunk) if isinstance(self.trunk, nn.Sequential) else [self.trunk]
        for layer in layers[: self.split]:
            x = layer(x)
        z = x
        for layer in layers[self.split :]:
            z = layer(z)
        output: Tensor = self.head(z)
        for injection in self.injections:
            output = output + injection(x)
        return output
