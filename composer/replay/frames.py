"""Replay of pictures: each frame is stored once, and stacks of frames are put together when they are drawn.

A row holds the newest frame of its observation; the frames before it are those of the rows before it. Where that is
not so, because an episode began, the older frames lie aside, with the last frame of the episode before: a *seam*. A
seam is found by comparing pictures, so that a game that goes on after a lost life needs none, and no rule of an
environment about its first stack is taken for granted.

Legend: S seeds, E environments of a seed, B batch, F frames of an observation. Tests: tests/replay/test_frames.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from composer.replay.ring import Ring
from composer.replay.storage import IN_MEMORY, Storage

_NUMBERS = 8
"""Bytes of a whole number on disk."""


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
        """``stacked`` is F; 0 says that pictures share nothing, and each is one frame. On disk frames alone lie."""
        super().__init__(seeds, environments, capacity, storage)
        device = storage.device
        self._stacked = max(stacked, 1)
        self._frame = (observation[0] // self._stacked, *observation[1:])
        # A stack needs the rows before it, and the newest rows' last frames are written ahead over the oldest rows.
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
        """The last frame of what was before, then older ones of what begins, oldest first; by number, modulo length."""
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
        """Put back what ``rows`` gave; ``load`` has to follow."""
        slots = (torch.arange(start, start + rows.shape[0]) % self.capacity).to(self._device)
        numbers = 4 * self._numbers.shape[2]
        frame, floats, seam = rows.transpose(0, 1).split([rows.shape[2] - numbers - _NUMBERS, numbers, _NUMBERS], -1)
        self._pictures[:, slots] = frame.unflatten(-1, self._frame).to(self._device)
        self._numbers[:, slots] = floats.contiguous().view(torch.float32).to(self._device)
        self._seam[:, slots] = seam.contiguous().view(torch.int64).squeeze(-1).to(self._device)
        self.added = start + rows.shape[0]

    def tensors(self) -> dict[str, Tensor]:
        """Seams that are still needed, the number of the first of them, and the newest stacks."""
        first = self._oldest_seam()
        kept = self._seams[torch.arange(first, self._made, device=self._device) % len(self._seams)]
        return {"seams": kept, "first_seam": torch.tensor(first), "final": self._final}

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Put them back."""
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
        """What the newest actions led to, where the next rows will begin: unless an episode does, it is the same."""
        start = self.added % self.capacity
        self._pictures[:, start : start + self._environments] = self._final[:, :, -1]
        self._seam[:, start : start + self._environments] = -1

    def _flags(self, slots: Tensor) -> Tensor:
        return self.frame_numbers(slots)[..., -3:]

    def _look(self, slots: Tensor) -> _FrameTransitions:
        return _FrameTransitions(self, slots)

    def frame_numbers(self, slots: Tensor) -> Tensor:
        """Action, reward and flags ``[S, B, a + 3]`` at slots ``[S, B]``."""
        return self._numbers[self._seeds_at, slots]

    def stack(self, slots: Tensor) -> Tensor:
        """Observations ``[S, B, F * c, h, w]`` at slots ``[S, B]``."""
        found = []
        at, seam, beyond = slots, self._seam[self._seeds_at, slots], torch.zeros_like(slots)
        for back in range(self._stacked):
            picture = self._at(at)
            if back:
                # Once a row began an episode, older frames lie in its seam, counted from the newest.
                aside = self._seams[seam.clamp_min(0) % len(self._seams), (self._stacked - beyond) % self._stacked]
                picture = torch.where(_like(beyond > 0, picture), aside, picture)
            found.append(picture)
            beyond = torch.where(seam >= 0, beyond + 1, beyond)
            earlier = (at - self._environments) % self.capacity
            at = torch.where(seam >= 0, at, earlier)
            seam = torch.where(seam >= 0, seam, self._seam[self._seeds_at, earlier])
        return torch.stack(found[::-1], 2).flatten(2, 3)

    def led_to(self, slots: Tensor, observation: Tensor) -> Tensor:
        """Next observations of ``slots``, whose observations are given: one frame is new."""
        after = (slots + self._environments) % self.capacity
        seam = self._seam[self._seeds_at, after]
        aside = self._seams[seam.clamp_min(0) % len(self._seams), 0]
        newest = self._at(after)
        newest = torch.where(_like(seam >= 0, newest), aside, newest)
        return torch.cat([observation[:, :, self._frame[0] :], newest], 2)

    def _at(self, slots: Tensor) -> Tensor:
        return self._flat[(slots + self._seeds_at * self.capacity).flatten()].view(*slots.shape, *self._frame)


class _FrameTransitions:
    """Transitions at some slots, read as they are asked for."""

    def __init__(self, frames: FrameRing, slots: Tensor) -> None:
        self._frames, self._slots = frames, slots

    @cached_property
    def observation(self) -> Tensor:
        return self._frames.stack(self._slots)

    @cached_property
    def following(self) -> Tensor:
        return self._frames.led_to(self._slots, self.observation)

    @cached_property
    def _numbers(self) -> Tensor:
        return self._frames.frame_numbers(self._slots)

    @property
    def action(self) -> Tensor:
        return self._numbers[..., :-3]

    @property
    def reward(self) -> Tensor:
        return self._numbers[..., -3]

    @property
    def terminated(self) -> Tensor:
        return self._numbers[..., -2]

    @property
    def ended(self) -> Tensor:
        return self._numbers[..., -1]


def _like(mask: Tensor, picture: Tensor) -> Tensor:
    return mask.view(*mask.shape, *[1] * (picture.ndim - mask.ndim))
