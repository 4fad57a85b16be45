"""The head of a policy of independent normals. Tests: tests/networks/test_heads.py, tests/papers/test_policies.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.networks.heads.dense import DenseHead
from composer.networks.heads.layers import features
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape

LogStd = Annotated[float, Field(ge=-30, le=10)]


class GaussianPolicy(DenseHead, kind="gaussian_policy"):
    """Mean and log standard deviation of normals that no tanh squashes: ``[n] -> ([a], [a])``.

    The deviation is one parameter per action, the same in every state. Draws may leave the action box.
    Source: TRPO, Schulman et al., arXiv:1502.05477, and PPO, arXiv:1707.06347; with a tanh of the mean and bounds of
    the deviation IQL, arXiv:2110.06169, and its code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gaussian_policy"}

    initial_log_std: float = Field(default=0.0, ge=-30, le=10)
    """The log standard deviation (natural logarithm) before the first update."""
    mean_bound: Literal["tanh"] | None = None
    """What keeps the mean within the action box [-1, 1]: a tanh; absent: nothing."""
    log_std_min: LogStd | None = None
    """Value at which the log standard deviation is clipped from below; there it has no gradient. Absent: none."""
    log_std_max: LogStd | None = None
    """The same from above."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.log_std_min, self.log_std_max
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if not low <= self.initial_log_std <= high or low == high:
            raise PydanticCustomError(
                "log_std_bounds",
                "'initial_log_std' ({first}) must be between 'log_std_min' ({low}) and 'log_std_max' ({high})",
                {"first": self.initial_log_std, "low": low, "high": high},
            )
        return self

    @property
    @override
    def produces(self) -> str:
        return "gaussian"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``mean``, parameter ``log_std`` [a]; ``output`` is the shape of each of the two outputs."""
        features(self.kind, shape)
        plan = ParameterPlan((actions,), Constant(value=self.initial_log_std), fan_in=1, fan_out=actions)
        children = {"mean": self.layer(shape, actions)}
        flops = actions * sum(each is not None for each in (self.mean_bound, self.log_std_min, self.log_std_max))
        return Outline(self.kind, shape, (actions,), parameters={"log_std": plan}, children=children, flops=flops)

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.GaussianHead``: returns (mean [B, a], log_std [B, a])."""
        self.outline(shape, actions)
        tanh: dict[str, object] = {"tanh_mean": True} if self.mean_bound == "tanh" else {}
        bounds = {"log_std_min": self.log_std_min, "log_std_max": self.log_std_max}
        options = tanh | {name: value for name, value in bounds.items() if value is not None}
        layer = self.layer_call(shape, actions)
        return call("composer.networks.modules.heads:GaussianHead", layer, actions, **options)
