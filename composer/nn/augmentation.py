"""Random changes of pictures, as pure functions of unit-normal draws: captured, compiled and stacked as they are.

``[...]`` are batch axes; pictures are ``[..., c, h, w]``. Tests: tests/papers/test_augmentation.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import ndtr


def random_shift(pictures: Tensor, noise: Tensor, pad: int) -> Tensor:
    """Each picture moved by -pad to pad whole pixels along both axes, its edges repeated; ``noise [..., 2]``.

    Source: Kostrikov et al., DrQ, arXiv:2004.13649: replicate, then crop at random.
    """
    moves = whole(noise, 2 * pad + 1) - pad
    return _moved(_moved(pictures, moves[..., 0], -2), moves[..., 1], -1)


def intensity(pictures: Tensor, noise: Tensor, scale: float, cut: float) -> Tensor:
    """Each picture times ``1 + scale * clip(e, -cut, cut)``, e of the unit normal ``noise [..., 1]``."""
    factor: Tensor = 1 + scale * noise[..., None, None].clamp(-cut, cut)
    return pictures * factor


def whole(noise: Tensor, count: int) -> Tensor:
    """Whole numbers 0 to ``count - 1``, each as likely, from unit normals."""
    # The distribution function rounds to one far out, where the product would be one too many.
    numbers: Tensor = (ndtr(noise) * count).long().clamp_max(count - 1)
    return numbers


def _moved(pictures: Tensor, move: Tensor, axis: int) -> Tensor:
    """Along an axis, -1 or -2: entry i of the result is entry ``i + move`` of the picture, the nearest that it has."""
    size = pictures.shape[axis]
    source = (torch.arange(size, device=pictures.device) + move[..., None]).clamp(0, size - 1)
    # Onto the axes of a picture, of which the index does not depend on the channel and the other side.
    source = source[..., None, None, :] if axis == -1 else source[..., None, :, None]
    return pictures.take_along_dim(source, axis)
