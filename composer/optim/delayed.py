"""Steps that count only now and then, inside one captured program. Tests: tests/papers/test_delayed_steps.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def apply_every(step: Callable[[], None], tensors: Sequence[Tensor], every: Tensor, updates: Tensor) -> None:
    """Take ``step``, and undo what it did to ``tensors`` for the seeds whose update is not an ``every``-th one.

    A captured program knows no branches: the step is computed each time. ``tensors`` are all that it changes, ``[S,
    ...]`` each; ``every`` and ``updates``, those done before this one, are ``[S]``.
    """
    due = torch.remainder(updates + 1, every) == 0
    before = [value.detach().clone() for value in tensors]
    step()
    with torch.no_grad():
        for value, old in zip(tensors, before, strict=True):
            value.copy_(torch.where(due.view(-1, *[1] * (value.ndim - 1)), value, old))
