"""The head of an action-value network over discrete actions. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.networks.heads.dense import NoisyHead, OneLayerHead
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class DiscreteValue(NoisyHead, OneLayerHead, kind="discrete_value"):
    """The value of each discrete action: ``[n] -> [a]``. Source: DQN, Mnih et al., Nature 518, 2015.

    Learned by the squared error, which is not halved, or by the Huber loss.
    """

    is_additive: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "discrete_value"}

    huber: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Error beyond which the loss is linear, in units of return: 1 in DQN, which cuts the error there."""

    @property
    @override
    def produces(self) -> str:
        return "action_values"

    @override
    def outputs(self, actions: int) -> Shape:
        return (actions,)

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Point``: each value itself."""
        return call("composer.algorithms.losses.returns:Point", self.huber)
