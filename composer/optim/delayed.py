"""Steps that are taken every few updates inside one captured program. Tests: tests/papers/test_delayed_steps.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from composer.networks.stacked import per_seed


def apply_every(step: Callable[[], None], tensors: Sequence[Tensor], every: Tensor, updates: Tensor) -> None:
    """Take ``step`` every ``every`` updates: otherwise restore ``tensors``, for each seed separately.

    A captured program has no branches, so the step is computed at each update. ``tensors [S, ...]`` are all that it
    changes; ``every`` and ``updates``, those done before this one, are ``[S]``.
    """
    due = torch.remainder(updates + 1, every) == 0
    before = [value.detach().clone() for value in tensors]
    step()
    with torch.no_grad():
        for value, old in zip(tensors, before, strict=True):
            value.copy_(torch.where(per_seed(due, value), value, old))
