"""Layers with a memory, and a list of layers some of which have one. Specs: ``composer.networks.blocks.recurrent``.

Legend: N sequences, T observations of each, m entries of a memory. Tests: tests/networks/test_recurrent.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from composer.networks.sequences import Sequences


class RecurrentCell(nn.Module):
    """A layer over time: one matrix product for all inputs, then a step for each moment."""

    gates: tuple[str, ...]

    def __init__(self, inputs: int, width: int, states: int) -> None:
        super().__init__()
        self._width, self.memory_size = width, states * width
        for gate in self.gates:
            self.register_parameter(f"input_{gate}", nn.Parameter(torch.empty(width, inputs)))
        for gate in self.gates:
            self.register_parameter(f"recurrent_{gate}", nn.Parameter(torch.empty(width, width)))
        for gate in self.gates:
            self.register_parameter(f"bias_{gate}", nn.Parameter(torch.empty(width)))

    def forward(
        self, x: Tensor, starts: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """``[..., in]`` to ``[..., width]`` from an empty memory.

        ``[N, T, in]``, ``starts [N, T]`` and ``memory [N, m]`` to ``[N, T, width]`` and the memory after each moment,
        ``[N, T, m]``.
        """
        driven = functional.linear(x, self._joined("input"), self._joined("bias"))
        if starts is None or memory is None:
            return self.step(driven, torch.zeros_like(driven[..., : self.memory_size]))[..., : self._width]
        found = []
        for moment, begins in zip(driven.unbind(1), starts.unbind(1), strict=True):
            memory = self.step(moment, torch.where(begins[:, None], 0.0, memory))
            found.append(memory)
        memories = torch.stack(found, 1)
        return memories[..., : self._width], memories

    def step(self, driven: Tensor, memory: Tensor) -> Tensor:
        """The next memory ``[..., m]``, output first; ``driven`` is what the input adds to each gate."""
        raise NotImplementedError

    def recurrent(self, hidden: Tensor) -> Tensor:
        """What the output of the moment before adds to each gate."""
        return functional.linear(hidden, self._joined("recurrent"))

    def _joined(self, part: str) -> Tensor:
        return torch.cat([getattr(self, f"{part}_{gate}") for gate in self.gates])


class GRU(RecurrentCell):
    """Gated recurrent unit as torch and flax compute it; the memory is the output."""

    gates = ("reset", "update", "new")

    def __init__(self, inputs: int, width: int) -> None:
        """From ``inputs`` to ``width`` features."""
        super().__init__(inputs, width, states=1)
        self.bias_recurrent = nn.Parameter(torch.empty(width))

    def step(self, driven: Tensor, memory: Tensor) -> Tensor:
        """``n = tanh(W_n x + b_n + r (U_n h + b_u))``, ``h' = (1 - z) n + z h``."""
        reset, update, new = driven.chunk(3, -1)
        of_reset, of_update, of_new = self.recurrent(memory).chunk(3, -1)
        chosen = torch.sigmoid(reset + of_reset)
        candidate = torch.tanh(new + chosen * (of_new + self.bias_recurrent))
        kept = torch.sigmoid(update + of_update)
        return (1 - kept) * candidate + kept * memory


class LSTM(RecurrentCell):
    """Long short-term memory; the memory is the output, then the cell."""

    gates = ("input", "forget", "cell", "output")

    def __init__(self, inputs: int, width: int) -> None:
        """From ``inputs`` to ``width`` features."""
        super().__init__(inputs, width, states=2)

    def step(self, driven: Tensor, memory: Tensor) -> Tensor:
        """``c' = f c + i g``, ``h' = o tanh(c')``."""
        hidden, cell = memory.chunk(2, -1)
        enter, keep, new, leave = (driven + self.recurrent(hidden)).chunk(4, -1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
        return torch.cat([torch.sigmoid(leave) * torch.tanh(cell), cell], -1)


class RecurrentSequence(nn.Sequential):
    """Layers in order, of which some have a memory; the memory of the whole is theirs, one after another."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.memory_size = sum(_size(layer) for layer in layers)

    def forward(
        self, x: Tensor, starts: Tensor | None = None, memory: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """As ``RecurrentCell.forward``."""
        if starts is None or memory is None:
            plain: Tensor = super().forward(x)
            return plain
        parts = iter(memory.split([_size(layer) for layer in self if _size(layer)], -1))
        after = []
        for layer in self:
            if _size(layer):
                x, kept = layer(x, starts, next(parts))
                after.append(kept)
            else:
                x = layer(x)
        return x, torch.cat(after, -1)


class RecurrentTrunkAndHead(nn.Module):
    """``head(trunk(x))`` with a memory in the trunk."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, x: Tensor | Sequences) -> Any:
        """Output as the head documents it. Of sequences, also the memory after every moment."""
        if isinstance(x, Sequences):
            features, memory = self.trunk(*x)
            return self.head(features), memory
        return self.head(self.trunk(x))


def _size(layer: nn.Module) -> int:
    size: int = getattr(layer, "memory_size", 0)
    return size
