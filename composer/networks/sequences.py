"""What a network with a memory reads: observations in order of time. Tests: tests/networks/test_recurrent.py."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sequences(NamedTuple):
    """N sequences of T observations for each of S seeds.

    A network with a memory gives for them its output ``[S, C, N, T, ...]`` and the memory after every observation,
    ``[S, C, N, T, m]``. To a plain tensor it answers as though every observation were the first of its episode.
    """

    observation: Tensor
    """``[S, N, T, ...]``"""
    starts: Tensor
    """``[S, N, T]``: true where an observation is the first of its episode, before which the memory is zero."""
    memory: Tensor
    """``[S, N, m]``: the memory before the first observation."""
