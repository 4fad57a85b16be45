"""Replay of pictures: each frame is stored once, and stacks of frames are put together when they are drawn.

A row holds the newest frame of its observation; older frames are in the rows before it. Where an episode begins, the
rows before it belong to another episode: its older frames are stored separately, together with the last frame of that
other episode. Such a place is a *seam*. Seams are found by comparing pictures, so a game that continues after a lost
life needs none, and nothing is assumed about an environment's first stack.

Legend: S seeds, E environments of a seed, B batch, F frames of an observation. Tests: tests/replay/test_frames.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from typing_extensions import override

from composer.replay.ring import Ring, StoredTransitions
from composer.replay.storage import IN_MEMORY, Storage

_NUMBERS = 8
"""Bytes of an int64 on disk."""


class FrameRing(Ring):
    """A ring whose observations are uint8 pictures ``[F * c, h, w]``, of which a step replaces the oldest ``c``."""

    def __init__(
        self,
        seeds: int,
        environments: int,
        capacity: int,
        observation: tuple[int, ...],
        stacked: int,
        action: int,
        storage: Storage = IN_MEMORY,
    ) -> None:
        """``stacked`` is F; with 0, pictures share no frames. Storage on disk holds the frames alone."""
        super().__init__(seeds, environments, capacity, storage)
        device = storage.device
        self._stacked = max(stacked, 1)
        self._frame = (observation[0] // self._stacked, *observation[1:])
        # A stack needs the rows before it, and the newest next frames overwrite the oldest rows ahead of time.
        self.stale = self._stacked * environments
        if self.capacity <= self.stale:
            raise ValueError(
                f"a replay of {capacity} holds no stack of {stacked} frames of {environments} environments"
            )
        self._pictures = storage.empty((seeds, self.capacity, *self._frame), torch.uint8)
        self._flat = self._pictures.view(seeds * self.capacity, *self._frame)
        self._numbers = torch.zeros(seeds, self.capacity, action + 3, device=device)
        self._seam = torch.full((seeds, self.capacity), -1, dtype=torch.int64, device=device)
        self._seams = torch.empty(16, self._stacked, *self._frame, dtype=torch.uint8, device=device)
        """By number modulo length: last frame of the episode before, then older frames of the new one, oldest first."""
        self._made = 0
        self._final = torch.zeros(seeds, environments, self._stacked, *self._frame, dtype=torch.uint8, device=device)
        self._seeds_at = torch.arange(seeds, device=device)[:, None]

    def rows(self, start: int, stop: int) -> Tensor:
        """uint8 ``[stop - start, S, bytes]``: frame, numbers, seam."""
        slots = self._held(start, stop)
        shape = (self._seeds, stop - start, -1)
        parts = [
            self._pictures[:, slots].reshape(shape),
            self._numbers[:, slots].cpu().contiguous().view(torch.uint8).reshape(shape),
            self._seam[:, slots, None].cpu().contiguous().view(torch.uint8).reshape(shape),
        ]
        return torch.cat([part.cpu() for part in parts], -1).transpose(0, 1).contiguous()

    def restore(self, start: int, rows: Tensor) -> None:
        """Load what ``rows`` gave; ``load`` has to follow."""
        slots = (torch.arange(start, start + rows.shape[0]) % self.capacity).to(self._device)
        numbers = 4 * self._numbers.shape[2]
        frame, floats, seam = rows.transpose(0, 1).split([rows.shape[2] - numbers - _NUMBERS, numbers, _NUMBERS], -1)
        self._pictures[:, slots] = frame.unflatten(-1, self._frame).to(self._device)
        self._numbers[:, slots] = floats.contiguous().view(torch.float32).to(self._device)
        self._seam[:, slots] = seam.contiguous().view(torch.int64).squeeze(-1).to(self._device)
        self.added = start + rows.shape[0]

    def tensors(self) -> dict[str, Tensor]:
        """The seams that are still needed, the number of the first one, and the newest stacks."""
        first = self._oldest_seam()
        kept = self._seams[torch.arange(first, self._made, device=self._device) % len(self._seams)]
        return {"seams": kept, "first_seam": torch.tensor(first), "final": self._final}

    @override
    def load(self, saved: Mapping[str, Tensor]) -> None:
        kept, first = saved["seams"].to(self._device), int(saved["first_seam"])
        self._made = first + len(kept)
        while len(self._seams) < len(kept):
            self._seams = torch.cat([self._seams, torch.empty_like(self._seams)])
        self._seams[torch.arange(first, self._made, device=self._device) % len(self._seams)] = kept
        self._final.copy_(saved["final"])
        self._write_ahead()

    def _store(self, start: int, observation: Tensor, action: Tensor, flags: Tensor, final: Tensor) -> None:
        here = slice(start, start + self._environments)
        stack = observation.unflatten(2, (self._stacked, self._frame[0]))
        self._pictures[:, here] = stack[:, :, -1]
        self._numbers[:, here] = torch.cat([action, flags], -1)
        self._seam[:, here] = -1
        begins = (stack != self._final).flatten(2).any(2) if self.added else stack.new_ones(stack.shape[:2]).bool()
        if begins.any():
            self._add_seams(begins, stack, here)
        self._final.copy_(final.unflatten(2, (self._stacked, self._frame[0])))
        self.added += self._environments
        self._write_ahead()
        self.added -= self._environments

    def _add_seams(self, begins: Tensor, stack: Tensor, here: slice) -> None:
        where = begins.nonzero(as_tuple=True)
        count = len(where[0])
        numbers = torch.arange(self._made, self._made + count, device=self._device)
        self._seam[:, here][where] = numbers
        self._made += count
        oldest = self._oldest_seam()
        while self._made - oldest > len(self._seams):
            held = torch.arange(oldest, self._made - count, device=self._device)
            old, self._seams = self._seams, torch.cat([self._seams, torch.empty_like(self._seams)])
            self._seams[held % len(self._seams)] = old[held % len(old)]
        self._seams[numbers % len(self._seams)] = torch.cat([self._final[where][:, -1:], stack[where][:, :-1]], 1)

    def _oldest_seam(self) -> int:
        held = self._seam[:, : min(self.added + self._environments, self.capacity)]
        known = held[held >= 0]
        return int(known.min()) if known.numel() else self._made

    def _write_ahead(self) -> None:
        """Write the newest next frames into the next rows, whose frames they are unless an episode begins."""
        start = self.added % self.capacity
        self._pictures[:, start : start + self._environments] = self._final[:, :, -1]
        self._seam[:, start : start + self._environments] = -1

    @override
    def clear(self) -> None:
        super().clear()
        self._made = 0
        self._seam.fill_(-1)
        self._final.zero_()

    @override
    def _end(self, slots: Tensor) -> None:
        self._numbers[:, slots, -1] = 1.0

    def _flags(self, slots: Tensor) -> Tensor:
        return self._numbers_at(slots)[..., -3:]

    def _read(self, slots: Tensor) -> StoredTransitions:
        return StoredTransitions(
            lambda: self._numbers_at(slots),
            lambda: self._stack(slots),
            lambda observation: self._following(slots, observation),
        )

    def _numbers_at(self, slots: Tensor) -> Tensor:
        """Action, reward and flags ``[S, B, a + 3]`` at slots ``[S, B]``."""
        return self._numbers[self._seeds_at, slots]

    def _stack(self, slots: Tensor) -> Tensor:
        """Observations ``[S, B, F * c, h, w]`` at slots ``[S, B]``."""
        found = []
        at, seam, beyond = slots, self._seam[self._seeds_at, slots], torch.zeros_like(slots)
        for back in range(self._stacked):
            picture = self._at(at)
            if back:
                # Frames from before the beginning of an episode are in its seam, counted from the newest.
                aside = self._seams[seam.clamp_min(0) % len(self._seams), (self._stacked - beyond) % self._stacked]
                picture = torch.where(_like(beyond > 0, picture), aside, picture)
            found.append(picture)
            beyond = torch.where(seam >= 0, beyond + 1, beyond)
            earlier = (at - self._environments) % self.capacity
            at = torch.where(seam >= 0, at, earlier)
            seam = torch.where(seam >= 0, seam, self._seam[self._seeds_at, earlier])
        return torch.stack(found[::-1], 2).flatten(2, 3)

    def _following(self, slots: Tensor, observation: Tensor) -> Tensor:
        """Next observations of ``slots``: the given observations, without their oldest frame and with a new one."""
        after = (slots + self._environments) % self.capacity
        seam = self._seam[self._seeds_at, after]
        aside = self._seams[seam.clamp_min(0) % len(self._seams), 0]
        newest = self._at(after)
        newest = torch.where(_like(seam >= 0, newest), aside, newest)
        return torch.cat([observation[:, :, self._frame[0] :], newest], 2)

    def _at(self, slots: Tensor) -> Tensor:
        return self._flat[(slots + self._seeds_at * self.capacity).flatten()].view(*slots.shape, *self._frame)


def _like(mask: Tensor, picture: Tensor) -> Tensor:
    return mask.view(*mask.shape, *[1] * (picture.ndim - mask.ndim))
