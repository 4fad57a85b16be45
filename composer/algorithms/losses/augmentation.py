"""Random changes of pictures as pure functions of unit-normal draws, so that they can be captured and compiled.

``[...]`` are batch axes; pictures are ``[..., c, h, w]``. Tests: tests/papers/test_augmentation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.special import ndtr

from composer.spec.shape import Shape


class AugmentationChain:
    """Augmentations, one after the other."""

    def __init__(self, each: Sequence[tuple[Shape, Callable[[Tensor, Tensor], Tensor]]]) -> None:
        """For each augmentation the shape of its draws and a function of pictures and draws."""
        self._each = tuple(each)

    def noise(self, name: str, *steps: int) -> dict[str, Shape]:
        """Shapes of the draws under a name: one set per picture, ``steps`` pictures per sample."""
        return {f"{name}/{index}": (*steps, *draws) for index, (draws, _) in enumerate(self._each)}

    def __call__(self, pictures: Tensor, noise: Mapping[str, Tensor], name: str) -> Tensor:
        """Pictures ``[S, B, *steps, c, h, w]``, changed by the draws of this name."""
        for index, (_, change) in enumerate(self._each):
            pictures = change(pictures, noise[f"{name}/{index}"])
        return pictures


def random_shift(pictures: Tensor, noise: Tensor, pad: int) -> Tensor:
    """Shift each picture by -pad to pad whole pixels along both axes, edges repeated; ``noise [..., 2]``.

    Source: Kostrikov et al., DrQ, arXiv:2004.13649: replicate, then crop at random.
    """
    flat = pictures.reshape(-1, *pictures.shape[-3:])
    down, right = uniform_integers(noise, 2 * pad + 1).reshape(-1, 2).unbind(-1)
    padded = functional.pad(flat, (pad,) * 4, mode="replicate")
    # Every crop is a view of the padded picture, so that whole rows are copied: a fourth of the time of a look-up.
    crops = padded.unfold(2, flat.shape[2], 1).unfold(3, flat.shape[3], 1)
    return crops[torch.arange(len(flat), device=flat.device), :, down, right].view(pictures.shape)


def intensity(pictures: Tensor, noise: Tensor, scale: float, cut: float) -> Tensor:
    """Multiply each picture by ``1 + scale * clip(e, -cut, cut)`` with e from ``noise [..., 1]``."""
    factor: Tensor = 1 + scale * noise[..., None, None].clamp(-cut, cut)
    return pictures * factor


def uniform_integers(noise: Tensor, count: int) -> Tensor:
    """Uniform integers 0 to ``count - 1`` from unit normals."""
    # The distribution function rounds to one far out, where the product would be one too many.
    numbers: Tensor = (ndtr(noise) * count).long().clamp_max(count - 1)
    return numbers
