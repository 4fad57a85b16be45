"""Augmentation and standardisation of pictures on the device. Tests: tests/environments/test_pictures.py.

Legend: S seeds, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 4_096
"""Pictures whose moments are summed in one pass."""


class Crops(NamedTuple):
    """The random crop and flip of each of ``[S, B]`` pictures."""

    down: Tensor
    """First row of the crop within the padded picture, 0 to twice the padding."""
    right: Tensor
    """First column of the crop."""
    flipped: Tensor
    """Whether the crop is mirrored left to right."""


def random_crops(seeds: Sequence[int], batch: int, crop: int, flip: bool) -> Crops:
    """The crops of one batch. Each seed has a stream of its own, so that it does not depend on its neighbours."""
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        moved = torch.randint(2 * crop + 1, (2, batch), generator=generator)
        mirrored = torch.randint(2, (1, batch), generator=generator) * flip
        rows.append(torch.cat([moved, mirrored]))
    down, right, flipped = torch.stack(rows, 1)
    return Crops(down, right, flipped.bool())


def cropped(pictures: Tensor, padding: int, crops: Crops) -> Tensor:
    """Pictures ``[S, B, C, H, W]``, padded with ``padding`` zeros on each side, cropped to their size and mirrored."""
    height, width, device = *pictures.shape[-2:], pictures.device
    down, right, flipped = (part.to(device)[..., None] for part in crops)
    rows = torch.arange(height, device=device) + down - padding
    line = torch.arange(width, device=device)
    columns = torch.where(flipped, width - 1 - line, line) + right - padding
    seeds, batch = (torch.arange(size, device=device) for size in pictures.shape[:2])
    at = (seeds[:, None, None, None], batch[:, None, None])
    # Advanced indices around the channel axis move it to the end: move it back.
    crop = pictures[*at, :, rows.clamp(0, height - 1)[..., None], columns.clamp(0, width - 1)[..., None, :]]
    inside = ((rows >= 0) & (rows < height))[..., None] & ((columns >= 0) & (columns < width))[..., None, :]
    return (crop * inside[..., None]).movedim(-1, 2)


class Standardizer:
    """Standardises bytes: divides by 255, subtracts the channel's mean, divides by its standard deviation."""

    def __init__(self, pictures: Tensor, given: tuple[Sequence[float], Sequence[float]] | None = None) -> None:
        """Measures the moments of ``[S, n, C, H, W]`` per channel and seed; numbers are left as they are.

        ``given`` means and deviations per channel take the place of measured ones.
        """
        self._is_bytes = pictures.dtype == torch.uint8
        if not self._is_bytes:
            return
        if given is not None:
            mean, deviation = (torch.tensor([each], device=pictures.device) for each in given)
            self._mean, self._deviation = (value[:, None, :, None, None] for value in (mean, deviation))
            return
        if not pictures.stride(0):  # All seeds share their pictures: measure them once.
            pictures = pictures[:1]
        sums = torch.zeros(2, *pictures.shape[:1], pictures.shape[2], dtype=torch.float64, device=pictures.device)
        for chunk in pictures.split(CHUNK, 1):
            values = chunk.double() / 255
            sums += torch.stack([values.sum((1, 3, 4)), values.square().sum((1, 3, 4))])
        mean, square = sums / (pictures.shape[1] * pictures.shape[3] * pictures.shape[4])
        deviation = (square - mean.square()).clamp_min(0).sqrt().clamp_min(1e-6)
        self._mean, self._deviation = (value.float()[:, None, :, None, None] for value in (mean, deviation))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs ``[S, B, ...]`` as a network reads them."""
        return (inputs.float() / 255 - self._mean) / self._deviation if self._is_bytes else inputs
