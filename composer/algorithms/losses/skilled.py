"""Observations that hold the skill of their episode, taken apart again, as ``environments.skills`` puts them together.

Legend: N samples, d vector, k skill, F pictures of c channels. Tests: tests/papers/test_metra_pixels.py.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Skilled(NamedTuple):
    """An observation and its skill."""

    seen: Tensor
    """``[S, N, d]``, or ``[S, N, F c, h, w]`` with the values of bytes."""
    skill: Tensor
    """``[S, N, k]``"""

    def joined(self, *more: Tensor) -> Tensor:
        """Entries of the observation, the skill and ``more [S, N, ...]``: ``[S, N, d + k + ...]``."""
        return torch.cat([self.seen.flatten(2), self.skill, *more], -1)


def split(observation: Tensor, skill: int, frames: int) -> Skilled:
    """The parts of vectors ``[S, N, d + k]``, or of pictures ``[S, N, F (c + 1), h, w]`` where ``frames`` is not 0."""
    if not frames:
        return Skilled(observation[..., :-skill], observation[..., -skill:])
    pictures = observation.unflatten(2, (frames, -1))
    seen = pictures[:, :, :, :-1].flatten(2, 3)
    held = pictures[:, :, -1, -1].flatten(2)[..., : 4 * skill]
    return Skilled(seen, held.to(torch.uint8).contiguous().view(torch.float32))
