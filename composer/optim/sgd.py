"""Stochastic gradient descent and RMSProp, with torch's formulas. Tests: tests/optim/test_sgd.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.base import Optimizer
from composer.optim.schedules import Constant, Positive, highest
from composer.spec.without import Without

if TYPE_CHECKING:
    from torch import Tensor

    from composer.optim.hyperparameters import Hyperparameters
    from composer.optim.sgd_steps import RmspropState, SgdState

Norm = Annotated[Annotated[float, Field(gt=0, le=1e9)] | None, Without(None)]


class Sgd(Optimizer, kind="sgd"):
    """Gradient descent: ``w <- w - rate v`` with ``v <- momentum v + g``; without momentum, ``v = g``.

    An L2 term is a penalty of its own (``[penalties]``). Source: ``torch.optim.SGD`` without dampening; momentum:
    Sutskever et al., 2013.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "sgd", "learning_rate": 1e-2, "momentum": 0.9}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=1e-2)
    """Step size, a number or a schedule over updates."""
    momentum: Annotated[float, Field(ge=0, lt=1), Without(0)] = 0.0
    """Share of the velocity that a step keeps; 0 keeps none."""
    nesterov: Annotated[bool, Without(False)] = False
    """Whether the step goes along ``g + momentum v``, with the new velocity. It needs a momentum."""
    max_gradient_norm: Norm = None
    """Bound of the norm of a seed's gradient, over all parameters and copies. Absent: no bound."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> SgdState:
        from composer.optim.sgd_steps import SgdState

        rest = self.momentum, self.nesterov, self.max_gradient_norm
        return SgdState(parameters, hyperparameters, self.learning_rate, *rest)

    @override
    def problems(self, paths: Iterable[str]) -> Iterable[tuple[str, str]]:
        if self.nesterov and not self.momentum:
            yield "nesterov", "needs a momentum above 0"

    @override
    def moments(self) -> int:
        return int(self.momentum > 0)


class Rmsprop(Optimizer, kind="rmsprop"):
    """Gradients divided by the root of the running mean of their squares: ``w <- w - rate g / (sqrt(s) + epsilon)``.

    With ``centered``, the squared running mean of gradients is taken off ``s``. Source: Hinton's lecture 6e;
    ``torch.optim.RMSprop``. Mnih et al., 2015, have ``centered`` and epsilon ``inside`` of the root.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "rmsprop", "learning_rate": 2.5e-4, "beta2": 0.95, "centered": True}

    learning_rate: Annotated[Positive, Without(highest)] = Constant(value=1e-2)
    """Step size, a number or a schedule over updates."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the running mean of squared gradients, torch's ``alpha``."""
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    """Added to the root."""
    inside: Annotated[bool, Without(False)] = False
    """Whether epsilon is added under the root, ``g / sqrt(s + epsilon)``, as TensorFlow and optax do."""
    momentum: Annotated[float, Field(ge=0, lt=1), Without(0)] = 0.0
    """Share of the velocity that a step keeps; 0 keeps none."""
    centered: Annotated[bool, Without(False)] = False
    """Whether the gradients' variance takes the place of their mean square."""
    max_gradient_norm: Norm = None
    """Bound of the norm of a seed's gradient, over all parameters and copies. Absent: no bound."""

    @override
    def build(
        self, parameters: Mapping[str, Tensor], hyperparameters: Hyperparameters, keys: Sequence[int] = ()
    ) -> RmspropState:
        from composer.optim.sgd_steps import RmspropState

        rest = self.beta2, self.epsilon, self.momentum, self.centered, self.inside, self.max_gradient_norm
        return RmspropState(parameters, hyperparameters, self.learning_rate, *rest)

    @override
    def moments(self) -> int:
        return 1 + (self.momentum > 0) + self.centered
