"""Blocks whose inputs are earlier outputs of the same list. Spec: composer/networks/blocks/wired.py.

Tests: tests/networks/test_wired.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from composer.networks.modules.parallel import joined


class Wired(nn.ModuleList):
    """Blocks in order, each on an earlier output, to whose own output earlier ones may be joined."""

    def __init__(self, blocks: Sequence[nn.Module], wires: Sequence[tuple[int, tuple[int, ...], str, int]]) -> None:
        """``wires`` say of each block what it reads, what is joined to its output, how, and on which axis.

        Outputs are counted from 0, the input of the whole; a concatenation's axis is counted from the last.
        """
        super().__init__(blocks)
        self.wires = tuple(wires)

    def forward(self, x: Tensor) -> Tensor:
        """The last output."""
        outputs = [x]
        for block, (reads, others, join, axis) in zip(self, self.wires, strict=True):
            outputs.append(joined([block(outputs[reads]), *(outputs[index] for index in others)], join, axis))
        return outputs[-1]
