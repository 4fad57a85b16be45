"""Random numbers as a function of a key and a counter: for dropout, noisy layers and random quantiles inside a network.

No generator is involved, so that every member of a stack draws from its own stream, compiled or not, alone or stacked,
and a checkpoint that holds key and counter holds the stream. The function is SplitMix64's: its output function on a
Weyl sequence. Source: Steele, Lea and Flood, OOPSLA 2014. Tests: tests/papers/test_noise.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The published unsigned constants, as the signed integers of the same bits: torch's int64 arithmetic wraps alike.
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
GOLDEN_INVERSE = 0xF1DE83E19937733D - 2**64
"""Modulo 2**64."""
FIRST, SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
BITS = 24
"""Bits of a draw: as many as a float32 in [0, 1) has at equal distances."""


def mix(z: Tensor) -> Tensor:
    """SplitMix64's output function on int64 ``z``, any shape; right shifts bring in zeros."""
    z = (z ^ ((z >> 30) & (2**34 - 1))) * FIRST
    z = (z ^ ((z >> 27) & (2**37 - 1))) * SECOND
    mixed: Tensor = z ^ ((z >> 31) & (2**33 - 1))
    return mixed


def uniform(key: Tensor, draws: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Float32 draws in [0, 1) of ``shape``, the same for the same scalars ``key`` and ``draws`` (int64)."""
    stream = mix(mix(key) + draws * GOLDEN)
    index = torch.arange(1, math.prod(shape) + 1, device=key.device).view(shape)
    # stream + index * GOLDEN. But a compiler that sees the index alone multiplied does so in the loop's own signed
    # counter, where overflow is undefined: gcc then proved loops endless, and wrote past the end of the result.
    states = (stream * GOLDEN_INVERSE + index) * GOLDEN
    integers: Tensor = (mix(states) >> (64 - BITS)) & (2**BITS - 1)
    return integers.to(torch.float32) * 2.0**-BITS


def normal(key: Tensor, draws: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Float32 draws of a unit normal of ``shape``, by Box and Muller's formula from two uniform ones."""
    both = uniform(key, draws, (2, *shape))
    # 1 - u is in (0, 1], so that its logarithm is finite.
    radius: Tensor = (-2.0 * torch.log1p(-both[0])).sqrt()
    return radius * torch.cos(2.0 * math.pi * both[1])
