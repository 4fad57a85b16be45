"""Putting back a state that somebody may have written by hand: what does not fit is a damaged checkpoint.

Tests: tests/faults/test_doctored.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from composer.spec.errors import ComposerError
from composer.training.runs.checkpoint import CheckpointDamaged, Snapshot

_UNFIT = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@contextmanager
def restoring(snapshot: Snapshot, *needed: str) -> Iterator[None]:
    """In the block, values of other types and tensors of other shapes raise CheckpointDamaged.

    So does a checkpoint without the values ``needed`` later on.
    """
    try:
        for name in needed:
            snapshot.values[name]
        yield
    except (ComposerError, torch.OutOfMemoryError):
        raise
    except _UNFIT as error:
        said = (str(error).splitlines() or [""])[0][:200]
        raise CheckpointDamaged(
            f"{snapshot.path} does not hold the state of this run: {type(error).__name__}: {said}"
        ) from error
