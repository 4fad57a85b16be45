"""Simplicity of a function on the plane, by the frequencies of its two-dimensional Fourier transform.

Source: SimBa, arXiv:2410.09754, appendices A and B. Frequencies are the signed integer indices of the discrete
transform (-n/2 to n/2 - 1 on either axis); other units give other values, so that scores compare only within one
implementation. Tests: tests/papers/test_measures_of_spectra.py. Legend: n points on either axis.
"""

from __future__ import annotations

import torch
from torch import Tensor


def plane(points: int, extent: float) -> Tensor:
    """The grid on ``[-extent, extent]^2``, row by row: ``[points^2, 2]``."""
    axis = torch.linspace(-extent, extent, points)
    return torch.cartesian_prod(axis, axis)


def mean_frequency(values: Tensor, constant: bool = True) -> Tensor:
    """``c = sum |F(k)| |k| / sum |F(k)|`` of values ``[..., n, n]`` on a grid: ``[...]``, in float64.

    ``constant`` says whether the term k = 0 counts in the denominator, as published: an offset of the function then
    makes it simpler, which may not be meant.
    """
    size = torch.fft.fft2(values.double()).abs()
    index = torch.fft.fftfreq(values.shape[-1], 1 / values.shape[-1], dtype=torch.float64, device=values.device)
    length = (index.square()[:, None] + index.square()).sqrt()
    counted = size if constant else torch.where(length > 0, size, 0.0)
    mean: Tensor = (size * length).sum((-2, -1)) / counted.sum((-2, -1))
    return mean


def simplicity(values: Tensor, constant: bool = True) -> Tensor:
    """``1 / c`` of each function ``[..., n, n]``; a network's score is the mean of this over initialisations."""
    inverse: Tensor = 1 / mean_frequency(values, constant)
    return inverse
