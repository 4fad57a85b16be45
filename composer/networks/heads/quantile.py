"""The head of a value that is a distribution at fixed quantiles. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead, ReturnHead
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Kappa = Annotated[float, Field(ge=0, le=1000)]


class Quantile(ReturnHead, OneLayerHead, kind="quantile"):
    """A return's quantiles at the levels (i + 1/2) / N: ``[n] -> [N]``, or ``[a, N]`` for each action.

    Learned by the quantile Huber loss, the sum over predicted quantiles of the mean over target ones.
    Source: QR-DQN, Dabney et al., arXiv:1710.10044.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "quantile", "quantiles": 100}

    quantiles: Annotated[int, Field(ge=1, le=4096)]
    """Number of quantiles, N."""
    kappa: Kappa = 1.0
    """Error up to which the loss is quadratic, in units of return; the loss is divided by it; 0: the absolute loss."""

    @override
    def outputs(self, actions: int) -> Shape:
        return self.laid_out(actions, self.quantiles)

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Quantile``."""
        return call("composer.algorithms.losses.returns:Quantile", self.quantiles, self.kappa)
