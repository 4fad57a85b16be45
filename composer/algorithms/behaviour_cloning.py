"""Behaviour cloning as a part of an actor's loss: the spec. The loss is in ``losses/cloning.py``.

Tests: tests/papers/test_behaviour_cloning.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from composer.optim import schedules
from composer.optim.schedules import Bounded, Schedule
from composer.spec.family import Spec
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    from composer.algorithms.losses.cloning import CloningLoss
    from composer.optim.hyperparameters import Hyperparameters

METRIC: Final = Metric("actor/cloning", "mean squared distance of the policy's actions from the batch's", "", 0, 4)


class BehaviourCloning(Spec):
    """The squared distance of the policy's actions from those of the batch, as a part of the actor's loss L.

    With the mean size of the values that the actor maximises, ``m = mean |Q|``, of which no gradient is taken, and the
    error ``E = mean (pi(s) - a)^2`` over samples and action dimensions, the loss is ``weight / m * L + E`` or
    ``L + weight * m * E``: both terms keep their proportion whatever the scale of rewards. Sources: TD3+BC, Fujimoto
    and Gu, arXiv:2106.06860, Eq. 3 and 4 and its code; SimbaV2, arXiv:2502.15280, and its code for offline data.
    """

    weighs: Literal["value", "cloning"] = "value"
    """Which term has the weight: ``value``, ``weight / m * L + E``, as in TD3+BC; or ``cloning``,
    ``L + weight * m * E``, as in SimbaV2."""
    weight: Annotated[Schedule, Bounded(0, 1e6)] = schedules.Constant(value=2.5)
    """2.5 in TD3+BC, 0.1 in SimbaV2: a number, or a schedule over updates. A value term with weight 0 leaves behaviour
    cloning alone."""

    def build(self, hyperparameters: Hyperparameters) -> CloningLoss:
        """The loss with its numbers as tensors."""
        from composer.algorithms.losses.cloning import CloningLoss

        return CloningLoss(self.weight.build(hyperparameters), self.weighs == "value")
