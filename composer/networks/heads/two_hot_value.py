"""The head of a value as probabilities at bins that are dense around 0. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.heads.dense import OneLayerHead, ReturnHead
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

Symlog = Annotated[float, Field(ge=-40, le=40)]
_CLASSES = {"symlog": "SymlogTwoHot", "raw": "SymexpTwoHot"}


class TwoHotValue(ReturnHead, OneLayerHead, kind="two_hot_value"):
    """Logits of a number at bins, symexps of evenly spaced ones: ``[n] -> [bins]``, or ``[a, bins]`` for each action.

    A target is spread over its two nearest bins. With ``space = "symlog"`` it is spread linearly in its symlog, and the
    prediction is ``symexp(sum p symlog(b))``: TD-MPC2, arXiv:2310.16828, with 101 bins from -10 to 10. With
    ``space = "raw"`` it is spread linearly in itself, and the prediction is ``sum p b``: DreamerV3, arXiv:2301.04104,
    in its released code with 255 bins from -20 to 20; MR.Q, arXiv:2501.16142, with 65 from -10 to 10. With
    ``weight = { kind = "zeros" }``, as in the first two, the first predictions are 0 where ``low`` is ``-high``.
    Numbers beyond the first and the last bin count as those.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "two_hot_value", "bins": 101, "low": -10.0, "high": 10.0}

    bins: Annotated[int, Field(ge=2, le=4096)]
    """Number of bins."""
    low: Symlog
    """Symlog of the first bin, ``sign(x) ln(1 + |x|)``."""
    high: Symlog
    """Symlog of the last bin."""
    space: Literal["symlog", "raw"] = "symlog"
    """Where numbers are spread between bins and means are taken."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            ends = {"low": self.low, "high": self.high}
            raise PydanticCustomError("bins_order", "'low' ({low}) must be below 'high' ({high})", ends)
        return self

    @override
    def outputs(self, actions: int) -> Shape:
        return self.laid_out(actions, self.bins)

    def returns(self) -> LazyCall:
        """``SymlogTwoHot`` or ``SymexpTwoHot`` of ``composer.algorithms.losses.two_hot``."""
        return call(f"composer.algorithms.losses.two_hot:{_CLASSES[self.space]}", self.bins, self.low, self.high)
