"""Lempel-Ziv complexity: how many distinct phrases a sequence is parsed into.

Source: Ziv and Lempel, Compression of individual sequences via variable-rate coding, 1978; used on outputs of random
networks by Neural Redshift, arXiv:2403.02241. Tests: tests/papers/test_neural_redshift.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import torch
from torch import Tensor


def phrases(symbols: Iterable[Hashable]) -> int:
    """Distinct phrases of a greedy parse: each is the shortest that has not occurred; a rest that has is not counted.

    Zeros alone, n of them, make about ``sqrt(2 n)`` phrases; no parse of n symbols of two kinds makes more than about
    ``n / log2(n)``.
    """
    following: dict[tuple[int, Hashable], int] = {}
    phrase = 0
    for symbol in symbols:
        known = following.get((phrase, symbol))
        if known is None:
            following[phrase, symbol] = len(following) + 1
        phrase = known or 0
    return len(following)


def levels(values: Tensor, count: int) -> Tensor:
    """Values ``[...]`` as one of ``count`` levels of equal height between their least and largest: int64 ``[...]``.

    All 0 of a constant.
    """
    low, high = values.min(), values.max()
    height = torch.where(high > low, high - low, 1.0)
    return ((values - low) / height * count).long().clamp_max(count - 1)
