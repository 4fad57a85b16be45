"""Replay of vectors: a transition is one packed row of float32, so that a batch is one gather.

Observations are stored raw; each update normalises them with its own statistics.
Legend: S seeds, E environments of a seed, B batch, d observation, a action. Tests: tests/replay/test_vectors.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from composer.replay.ring import Ring, StoredTransitions
from composer.replay.storage import IN_MEMORY, Storage


def row_size(observation: int, action: int) -> int:
    """Floats of one stored transition: two observations, an action, a reward, two flags."""
    return 2 * observation + action + 3


class VectorRing(Ring):
    """A ring whose observations are vectors of ``observation`` numbers."""

    def __init__(
        self,
        seeds: int,
        environments: int,
        capacity: int,
        observation: int,
        action: int,
        storage: Storage = IN_MEMORY,
    ) -> None:
        """Reserves S × capacity rows; a CPU touches them as they arrive. ``capacity`` is cut to a multiple of E."""
        super().__init__(seeds, environments, capacity, storage)
        self._splits = [observation, action + 3, observation]
        self._rows = storage.empty((seeds, self.capacity, row_size(observation, action)), torch.float32)
        self._flat = self._rows.view(seeds * self.capacity, -1)
        self._stored_flags = self._flat[:, observation + action : observation + action + 3]
        self._offsets = (torch.arange(seeds, device=self._device) * self.capacity)[:, None]

    @override
    def rows(self, start: int, stop: int) -> Tensor:
        """float32 ``[stop - start, S, row_size]``."""
        return self._rows[:, self._held(start, stop)].transpose(0, 1).cpu().contiguous()

    @override
    def restore(self, start: int, rows: Tensor) -> None:
        slots = torch.arange(start, start + rows.shape[0]) % self.capacity
        self._rows[:, slots.to(self._rows.device)] = rows.transpose(0, 1).to(self._rows.device)
        self.added = start + rows.shape[0]

    def _store(self, start: int, observation: Tensor, action: Tensor, flags: Tensor, final: Tensor) -> None:
        self._rows[:, start : start + self._environments] = torch.cat([observation, action, flags, final], -1)

    @override
    def _end(self, slots: Tensor) -> None:
        self._rows[:, slots, self._splits[0] + self._splits[1] - 1] = 1.0

    def _flags(self, slots: Tensor) -> Tensor:
        return self._stored_flags.index_select(0, (slots + self._offsets).flatten()).view(*slots.shape, 3)

    @override
    def _read(self, slots: Tensor) -> StoredTransitions:
        rows = self._flat.index_select(0, (slots + self._offsets).flatten()).view(*slots.shape, -1)
        observation, numbers, final = rows.split(self._splits, -1)
        return StoredTransitions(lambda: numbers, lambda: observation, lambda _: final)
