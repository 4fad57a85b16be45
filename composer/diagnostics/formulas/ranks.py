"""Ranks of a feature matrix, by the names of their papers. Tests: tests/papers/test_measures.py.

The naming trap: a "stable rank" in published plasticity code (Hare and Tortoise, loss of plasticity) is ``srank`` here,
the count of singular values that hold 99 % of their sum. ``stable_rank`` is the textbook's quotient of norms.
All of them grow with the number of samples: compare at the same batch size.
Legend: n samples, d features, k = min(n, d) singular values, falling.
"""

from __future__ import annotations

import torch
from torch import Tensor


def singular_values(features: Tensor) -> Tensor:
    """Singular values ``[..., n, d] -> [..., k]``, NaN where an entry of the matrix is not finite."""
    finite = torch.isfinite(features).all(-1, keepdim=True).all(-2, keepdim=True)
    values = torch.linalg.svdvals(torch.where(finite, features, 0.0))
    return torch.where(finite[..., 0], values, torch.nan)


def srank(values: Tensor, delta: float = 0.01) -> Tensor:
    """The least number of singular values ``[..., k]`` whose sum is at least ``1 - delta`` of all.

    Source: Kumar et al., "Implicit under-parameterization", arXiv:2010.14498.
    """
    return _least_count(values, delta)


def pca_rank(values: Tensor, delta: float = 0.01) -> Tensor:
    """The same of squared singular values: components that explain ``1 - delta`` of the (uncentred) variance.

    Source: Yang et al., "Harnessing structures for value-based planning", arXiv:1909.12255, approximate rank.
    """
    return _least_count(values.square(), delta)


def effective_rank(values: Tensor) -> Tensor:
    """``exp(H(p))`` with the entropy H of ``p = values / sum``; 0 for a matrix of zeros.

    Source: Roy and Vetterli, "The effective rank", EUSIPCO 2007.
    """
    total = values.sum(-1)
    p = values / torch.where(total > 0, total, 1.0)[..., None]
    entropy = -torch.special.xlogy(p, p).sum(-1)
    return torch.where(total == 0, 0.0, entropy.exp())


def feature_rank(values: Tensor, samples: int, epsilon: float = 0.01) -> Tensor:
    """How many singular values of ``features / sqrt(samples)`` are greater than ``epsilon``.

    Source: Lyle et al., "Understanding and preventing capacity loss", arXiv:2204.09560. It has a scale: features that
    are doubled may gain rank.
    """
    count = (values / samples**0.5 > epsilon).sum(-1).to(values.dtype)
    return _known(values, count)


def stable_rank(values: Tensor) -> Tensor:
    """``|A|_F^2 / |A|_2^2``, at most the rank; 0 for a matrix of zeros.

    Source: Rudelson and Vershynin, "Sampling from large matrices", arXiv:math/0503442.
    """
    squares = values.square()
    largest = squares[..., 0]
    return torch.where(largest == 0, 0.0, squares.sum(-1) / torch.where(largest == 0, 1.0, largest))


def _least_count(values: Tensor, delta: float) -> Tensor:
    total = values.sum(-1, keepdim=True)
    share = values.cumsum(-1) / torch.where(total > 0, total, 1.0)
    # The last share is 1 but for rounding: what is missing there must not count as another value.
    count = 1 + (share[..., :-1] < 1 - delta).sum(-1).to(values.dtype)
    return _known(values, torch.where(total[..., 0] == 0, 0.0, count))


def _known(values: Tensor, count: Tensor) -> Tensor:
    return torch.where(torch.isnan(values[..., 0]), torch.nan, count)
