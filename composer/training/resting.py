"""Updates of some seeds only: the others rest, with all that they hold and every random stream as it was.

A captured program updates all seeds. What seeds that rest have lost by it is put back.
Legend: S seeds. Tests: tests/training/test_assessment.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from composer.networks.stacked import per_seed

SEEDS_LAST: Final = ("signals",)
"""State of a learner whose seeds are its last axis: else they are the first."""


@contextmanager
def resting(state: Callable[[], Mapping[str, Tensor]], active: Tensor | None) -> Iterator[None]:
    """What changes in the tensors of ``state`` inside is put back for the seeds outside of the mask ``active [S]``.

    None, or a mask of all seeds, costs nothing.
    """
    if active is None or bool(active.all()):
        yield
        return
    before = {name: value.detach().clone() for name, value in state().items()}
    yield
    with torch.no_grad():
        for name, value in state().items():
            mask = active.to(value.device)
            value.copy_(torch.where(mask if name in SEEDS_LAST else per_seed(mask, value), value, before[name]))


@contextmanager
def unmoved(generators: Sequence[torch.Generator], active: Tensor | None) -> Iterator[None]:
    """The random streams of the seeds outside of the mask ``active [S]`` stand afterwards where they stood."""
    still = [] if active is None else [each for each, moves in zip(generators, active, strict=True) if not moves]
    states = [each.get_state() for each in still]
    yield
    for each, state in zip(still, states, strict=True):
        each.set_state(state)
