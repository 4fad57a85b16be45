"""Returns as probabilities at bins whose distances grow with the numbers: two-hot with symlog, in two spaces.

In symlog space (TD-MPC2) a number is spread linearly in its symlog, and a prediction is the symexp of the mean bin. In
raw space (DreamerV3 as released in 2025, MR.Q) a number is spread linearly in itself, and a prediction is the mean
of the bins' symexps. Uniform probabilities at bins that are symmetric about 0 give 0 in both.
Legend: N bins. Tests: tests/papers/test_two_hot.py.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from composer.algorithms.losses.returns import TwoHot
from composer.algorithms.symlog import symexp, symlog


class SymlogTwoHot(TwoHot):
    """Bins are evenly spaced in symlog space, where numbers are spread and means are taken. Source: arXiv:2310.16828.

    ``low`` and ``high`` are the symlogs of the first and the last bin.
    """

    @override
    def value(self, raw: Tensor) -> Tensor:
        """``symexp(sum_i p_i b_i)``."""
        return symexp(super().value(raw))

    @override
    def encoded(self, numbers: Tensor) -> Tensor:
        """Spread over the two bins nearest to the symlog; ends count for numbers beyond them."""
        return super().encoded(symlog(numbers))

    @override
    def average(self, raw: Tensor, axis: int) -> Tensor:
        """Logits of the mean value alone: the mixture's value is no mean of values, since symexp is not linear."""
        return self.encoded(self.value(raw).mean(axis)).clamp_min(1e-38).log()

    @override
    def distance(self, raw: Tensor) -> Tensor:
        """Area between the distribution functions over the bins' symexps."""
        return _area(raw, symexp(self.support))


class SymexpTwoHot(TwoHot):
    """Bins are symexps of evenly spaced numbers; numbers are spread, and means taken, in raw space.

    Source: the released code of DreamerV3, arXiv:2301.04104, and of MR.Q, arXiv:2501.16142.
    """

    def __init__(self, atoms: int, low: float, high: float) -> None:
        """``low`` and ``high`` are the symlogs of the first and the last bin."""
        super().__init__(atoms, low, high)
        exact = torch.linspace(low, high, atoms, dtype=torch.float64)
        if low == -high:  # linspace is symmetric up to rounding, which symexp would magnify.
            exact = (exact - exact.flip(-1)) / 2
        self.support = symexp(exact).float()
        self.gaps = self.support.diff()

    @override
    def value(self, raw: Tensor) -> Tensor:
        """``sum_i p_i b_i``, in pairs of bins equally far from both ends: exactly 0 where these cancel."""
        parts = raw.softmax(-1) * self.support
        return (parts + parts.flip(-1)).sum(-1) / 2

    @override
    def encoded(self, numbers: Tensor) -> Tensor:
        """Spread over the two nearest bins, linearly in the numbers; ends count for numbers beyond them."""
        points = numbers.clamp(self.support[0], self.support[-1])[..., None]
        # The share of the upper bin of each gap, cut to [0, 1]; nothing is scattered, whose order a GPU does not fix.
        upper = ((points - self.support[:-1]) / self.gaps).clamp(0, 1)
        ends = torch.ones_like(points)
        return torch.cat([ends, upper], -1) - torch.cat([upper, 0 * ends], -1)

    @override
    def distance(self, raw: Tensor) -> Tensor:
        """Area between the distribution functions."""
        return _area(raw, self.support)


def _area(raw: Tensor, bins: Tensor) -> Tensor:
    """Between the distribution functions of two returns ``[S, 2, ..., N]`` over ``bins [N]``: ``[S, ...]``."""
    chances = raw.softmax(-1)
    area: Tensor = ((chances[:, 0] - chances[:, 1]).cumsum(-1)[..., :-1].abs() * bins.diff()).sum(-1)
    return area
