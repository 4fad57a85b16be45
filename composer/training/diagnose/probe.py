"""The probe batch: transitions on which every measure is read. Tests: tests/training/test_recorder.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from composer.replay.transitions import Transitions
from composer.spec.random_streams import derive
from composer.training.diagnose.view import STREAM

if TYPE_CHECKING:
    from composer.training.collect.base import TransitionSource


class Probe:
    """``fixed``: drawn once, from a random stream of its own, and part of the state; or the ``newest`` transitions."""

    def __init__(self, kind: Literal["fixed", "newest"], batch: int) -> None:
        """``batch`` transitions per seed."""
        self._kind, self._batch = kind, batch
        self._held: Transitions | None = None

    def transitions(self, data: TransitionSource, seeds: Sequence[int], n_step: int, discount: Tensor) -> Transitions:
        """Raw transitions, ``[S, B, ...]``; there is at least one."""
        if self._kind == "newest":
            return data.newest(self._batch, n_step, discount)
        if self._held is None:
            generators = [torch.Generator(discount.device).manual_seed(derive(seed, STREAM, "batch")) for seed in seeds]
            # Copies: saved tensors may share no memory, and the replay overwrites its data.
            drawn = data.sample(self._batch, n_step, discount, generators)
            self._held = Transitions(*(value.clone() for value in drawn))
        return self._held

    def tensors(self) -> dict[str, Tensor]:
        """The fixed batch by name, once it is drawn."""
        return {} if self._held is None else self._held._asdict()

    def load(self, saved: Mapping[str, Tensor], device: str) -> None:
        """Restore a saved batch."""
        if saved:
            self._held = Transitions(**{name: value.to(device) for name, value in saved.items()})
