"""The head of a policy of independent normals. Tests: tests/networks/test_heads.py, tests/papers/test_policies.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.heads.dense import DenseHead
from composer.networks.heads.layers import features
from composer.networks.initializers import Constant
from composer.networks.outline import Outline, ParameterPlan
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class GaussianPolicy(DenseHead, kind="gaussian_policy"):
    """Mean and log standard deviation of normals that no tanh squashes: ``[n] -> ([a], [a])``.

    The deviation is one parameter per action, the same in every state. Draws may leave the action box.
    Source: TRPO, Schulman et al., arXiv:1502.05477, and PPO, arXiv:1707.06347.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "gaussian_policy"}

    initial_log_std: float = Field(default=0.0, ge=-30, le=10)
    """The log standard deviation (natural logarithm) before the first update."""

    @property
    @override
    def produces(self) -> str:
        return "gaussian"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``mean``, parameter ``log_std`` [a]; ``output`` is the shape of each of the two outputs."""
        features(self.kind, shape)
        plan = ParameterPlan((actions,), Constant(value=self.initial_log_std), fan_in=1, fan_out=actions)
        children = {"mean": self.layer(shape, actions)}
        return Outline(self.kind, shape, (actions,), parameters={"log_std": plan}, children=children)

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.GaussianHead``: returns (mean [B, a], log_std [B, a])."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:GaussianHead", self.layer_call(shape, actions), actions)
