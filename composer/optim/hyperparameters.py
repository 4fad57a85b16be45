"""Numbers of a method as tensors of members: a variant with other numbers runs the same program, or stands beside it.

Every number that enters an update is made here, so that whoever stacks agents finds them all: in the order in which
they were made, which is the same for agents that differ in numbers alone. Tests: tests/training/test_population.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_list: ContextVar[list[Tensor] | None] = ContextVar("numbers", default=None)


def number(
    value: float, shape: tuple[int, ...], device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """``value`` for every member: ``shape`` begins with the count of seeds."""
    return kept(torch.full(shape, value, dtype=dtype, device=device))


def kept(value: Tensor) -> Tensor:
    """``value [S, ...]`` itself, a tensor that updates read, never write and no checkpoint holds."""
    found = _list.get()
    if found is not None:
        found.append(value)
    return value


@contextmanager
def recorded() -> Iterator[list[Tensor]]:
    """The numbers that are made meanwhile, in their order."""
    found: list[Tensor] = []
    token = _list.set(found)
    try:
        yield found
    finally:
        _list.reset(token)
