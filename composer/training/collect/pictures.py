"""Pictures on the device: cropped, flipped by chance, bytes made numbers. Tests: tests/environments/test_pictures.py.

Legend: S seeds, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 4_096
"""Pictures whose mean is taken at once."""


class Changes(NamedTuple):
    """What is done to each of ``[S, B]`` pictures."""

    down: Tensor
    """Row of the bordered picture at which the cut begins, 0 to twice the border."""
    right: Tensor
    """Column of the same."""
    flipped: Tensor
    """Whether it is mirrored left to right, after the cut."""


def drawn(seeds: Sequence[int], batch: int, crop: int, flip: bool) -> Changes:
    """The changes of one batch, a stream a seed, so that a seed's do not depend on its neighbours."""
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        moved = torch.randint(2 * crop + 1, (2, batch), generator=generator)
        mirrored = torch.randint(2, (1, batch), generator=generator) * flip
        rows.append(torch.cat([moved, mirrored]))
    down, right, flipped = torch.stack(rows, 1)
    return Changes(down, right, flipped.bool())


def changed(pictures: Tensor, crop: int, changes: Changes) -> Tensor:
    """Pictures ``[S, B, C, H, W]`` cut out of themselves within a border of ``crop`` zeros, and mirrored."""
    height, width, device = *pictures.shape[-2:], pictures.device
    down, right, flipped = (part.to(device)[..., None] for part in changes)
    rows = torch.arange(height, device=device) + down - crop
    line = torch.arange(width, device=device)
    columns = torch.where(flipped, width - 1 - line, line) + right - crop
    seeds, batch = (torch.arange(size, device=device) for size in pictures.shape[:2])
    at = (seeds[:, None, None, None], batch[:, None, None])
    # The axes of channels comes last where advanced indices surround it: put back after.
    taken = pictures[*at, :, rows.clamp(0, height - 1)[..., None], columns.clamp(0, width - 1)[..., None, :]]
    inside = ((rows >= 0) & (rows < height))[..., None] & ((columns >= 0) & (columns < width))[..., None, :]
    return (taken * inside[..., None]).movedim(-1, 2)


class Standardizer:
    """Bytes as numbers: over 255, less the mean of their channel, over its standard deviation."""

    def __init__(self, pictures: Tensor) -> None:
        """Means and deviations over all of ``[S, n, C, H, W]``, a channel and a seed; numbers stay as they are."""
        self._is_bytes = pictures.dtype == torch.uint8
        if not self._is_bytes:
            return
        if not pictures.stride(0):  # What all seeds share is looked at once.
            pictures = pictures[:1]
        sums = torch.zeros(2, *pictures.shape[:1], pictures.shape[2], dtype=torch.float64, device=pictures.device)
        for chunk in pictures.split(CHUNK, 1):
            values = chunk.double() / 255
            sums += torch.stack([values.sum((1, 3, 4)), values.square().sum((1, 3, 4))])
        mean, square = sums / (pictures.shape[1] * pictures.shape[3] * pictures.shape[4])
        deviation = (square - mean.square()).clamp_min(0).sqrt().clamp_min(1e-6)
        self._mean, self._deviation = (value.float()[:, None, :, None, None] for value in (mean, deviation))

    def __call__(self, inputs: Tensor) -> Tensor:
        """``[S, B, ...]`` as a network reads them."""
        return (inputs.float() / 255 - self._mean) / self._deviation if self._is_bytes else inputs
