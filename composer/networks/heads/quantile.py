"""The head of a value that is a distribution at fixed quantiles. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.heads.base import Head
from composer.networks.heads.layers import (
    MayBeNoisy,
    Values,
    dense,
    dense_call,
    features,
    laid_out,
    produced,
)
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Kappa = Annotated[float, Field(ge=0, le=1000)]


class Quantile(MayBeNoisy, Head, kind="quantile"):
    """A return's quantiles at the levels (i + 1/2) / N: ``[n] -> [N]``, or ``[a, N]`` for each action.

    Learned by the quantile Huber loss, the sum over predicted quantiles of the mean over target ones.
    Source: QR-DQN, Dabney et al., arXiv:1710.10044.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "quantile", "quantiles": 100}
    is_chain = True

    values: Values = "one"
    """Whether there is one value or one for each discrete action."""
    quantiles: Annotated[int, Field(ge=1, le=4096)]
    """Number of quantiles, N."""
    kappa: Kappa = 1.0
    """Error up to which the loss is quadratic, in units of return; the loss is divided by it; 0: the absolute loss."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [N, n], for each action [a x N, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [N] or [a x N]."""
    unit_norm: bool = False
    """Whether the weights of each quantile are kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """One value, or one for each action."""
        return produced(self.values)

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``."""
        features(self.kind, shape)
        output = laid_out(self.values, actions, self.quantiles)
        return Outline(self.kind, shape, output, children={"linear": dense(self, shape, math.prod(output), self.sigma)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns quantiles [B, N] or [B, a, N], in no forced order."""
        output = self.outline(shape, actions).output
        return call(
            "composer.networks.modules.heads:DenseHead", dense_call(shape, math.prod(output), self.sigma), output
        )

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Quantile``."""
        return call("composer.algorithms.losses.returns:Quantile", self.quantiles, self.kappa)
