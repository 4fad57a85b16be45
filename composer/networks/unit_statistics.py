"""Dormant, dead and zero units. Tests: tests/papers/test_measures.py.

Legend: U units of a layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

GUARD = 1e-9
"""Added to the mean over a layer, so that a silent layer causes no division by zero."""
CLOSE = 1e-8
"""Scores up to this count as zero where the threshold is zero."""


def summary(activation: Tensor, unit_axis: int) -> Tensor:
    """Mean and largest magnitude of each unit and the share of its zeros, ``[3, U]``, over every axis but its own.

    ``unit_axis`` is counted from the last: -1 for vectors and tokens, -3 for the channels of images.
    """
    others = [axis for axis in range(-activation.ndim, 0) if axis != unit_axis]
    magnitude = activation.abs()
    zeros = (activation == 0).to(activation.dtype)
    return torch.stack([magnitude.mean(others), magnitude.amax(others), zeros.mean(others)])


def scores(mean_magnitude: Tensor) -> Tensor:
    """Each unit's mean magnitude ``[..., U]`` divided by the mean of its layer.

    Source: Sokar et al., "The dormant neuron phenomenon", arXiv:2302.12902.
    """
    divided: Tensor = mean_magnitude / (mean_magnitude.mean(-1, keepdim=True) + GUARD)
    return divided


def dormant(mean_magnitude: Tensor, tau: float) -> Tensor:
    """Which units ``[..., U]`` are dormant: those whose score is at most ``tau``.

    Source: Sokar et al., arXiv:2302.12902. At ``tau = 0`` scores of rounding size count as zero.
    """
    return scores(mean_magnitude) <= max(tau, CLOSE)


def dead(largest_magnitude: Tensor) -> Tensor:
    """Which units ``[..., U]`` were exactly 0 on every sample and at every position."""
    return largest_magnitude == 0
