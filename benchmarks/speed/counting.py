"""Operations of a call, counted by torch. Tests: tests/benchmarks/test_speed_candidates.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def count_flops(call: Callable[[], object]) -> int:
    """Operations of products and convolutions in one call, forward and backward, by torch's counter."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return int(counter.get_total_flops())


def size(tensors: Iterable[Tensor]) -> int:
    """Number of elements in all tensors."""
    return sum(tensor.numel() for tensor in tensors)
