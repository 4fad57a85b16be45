"""The head of an action-value network over discrete actions. Tests: tests/networks/test_heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.networks.heads.base import Head
from composer.networks.heads.layers import MayBeNoisy, dense, dense_call, features
from composer.networks.initializers import Initializer, Orthogonal, Zeros
from composer.networks.outline import Outline
from composer.spec.lazy_call import LazyCall, call
from composer.spec.shape import Shape


class DiscreteValue(MayBeNoisy, Head, kind="discrete_value"):
    """The value of each discrete action: ``[n] -> [a]``. Source: DQN, Mnih et al., Nature 518, 2015.

    Learned by the squared error, which is not halved, or by the Huber loss.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "discrete_value"}
    is_chain = True

    huber: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Error beyond which the loss is linear, in units of return: 1 in DQN, which cuts the error there."""
    weight: Initializer = Orthogonal()
    """Initialiser of the weight, shape [a, n]."""
    bias_init: Initializer = Zeros()
    """Initialiser of the bias, shape [a]."""
    unit_norm: bool = False
    """Whether the weights of each action are kept at unit norm, as hyperspherical networks do."""

    @property
    def produces(self) -> str:
        """A value for each action."""
        return "action_values"

    def outline(self, shape: Shape, actions: int) -> Outline:
        """Child ``linear``."""
        features(self.kind, shape)
        return Outline(self.kind, shape, (actions,), children={"linear": dense(self, shape, actions, self.sigma)})

    def module(self, shape: Shape, actions: int) -> LazyCall:
        """``composer.networks.modules.heads.DenseHead``: returns values [B, a]."""
        self.outline(shape, actions)
        return call("composer.networks.modules.heads:DenseHead", dense_call(shape, actions, self.sigma), (actions,))

    def returns(self) -> LazyCall:
        """``composer.algorithms.losses.returns.Point``: each value itself."""
        return call("composer.algorithms.losses.returns:Point", self.huber)
