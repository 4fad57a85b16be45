"""How minibatches are drawn from a replay memory. The state of priorities is in ``composer.replay.priorities``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.optim.schedules import Constant, Share
from composer.spec.family import Family

if TYPE_CHECKING:
    from composer.replay.priorities import Priorities


class Sampling(Family, family="sampling"):
    """How a batch is drawn from the replay memory."""

    has_priorities: ClassVar[bool] = False
    """Whether draws depend on errors that updates report."""

    def build(self, seeds: int, capacity: int, device: str, learner_device: str) -> Priorities | None:
        """Priorities of ``capacity`` slots per seed on ``device``; None where draws are uniform."""
        return None


class Uniform(Sampling, kind="uniform"):
    """Every transition is as likely as any other, with replacement."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "uniform"}


class Prioritised(Sampling, kind="prioritised"):
    """In proportion to a power of the last error of a transition, stratified into equal shares of the sum.

    New transitions get the largest priority so far. Losses are weighted by ``(N p)^-correction``, divided by the
    batch's largest weight. Source: arXiv:1511.05952 (proportional, stratified); exponents of Rainbow, arXiv:1710.02298.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "prioritised", "exponent": 0.5, "correction": 0.5}

    has_priorities: ClassVar[bool] = True

    @override
    def without(self) -> Sampling:
        """Uniform draws."""
        return Uniform()

    exponent: float = Field(default=0.5, ge=0, le=1)
    """Power of the error that makes the priority; 0 is uniform."""
    correction: Share = Constant(value=0.5)
    """How much of the bias the weights correct, 0 to 1: a number, or a schedule over gradient updates."""

    @override
    def build(self, seeds: int, capacity: int, device: str, learner_device: str) -> Priorities | None:
        from composer.optim.hyperparameters import Hyperparameters
        from composer.replay.priorities import Priorities

        correction = self.correction.build(Hyperparameters(seeds, learner_device))
        return Priorities(seeds, capacity, self.exponent, device, correction)


class LossAdjusted(Sampling, kind="loss_adjusted"):
    """In proportion to ``max(error, minimum)^exponent`` of a transition, without weights: LAP.

    It goes with a loss that is linear beyond ``minimum``, as TD7's is; under squared errors its draws are biased. New
    transitions get the largest priority so far. Source: Fujimoto et al., arXiv:2007.06049; numbers of TD7,
    arXiv:2306.02451, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "loss_adjusted", "exponent": 0.4}

    has_priorities: ClassVar[bool] = True

    @override
    def without(self) -> Sampling:
        """Uniform draws."""
        return Uniform()

    exponent: float = Field(default=0.4, ge=0, le=1)
    """Power of the error that makes the priority; 0 is uniform."""
    minimum: float = Field(default=1.0, gt=0, le=1e6)
    """Smallest error that counts: where the loss turns from quadratic to linear."""
    refresh: int = Field(default=250, ge=1, le=10**9)
    """Updates after which the largest priority is looked up again among those that are held."""

    @override
    def build(self, seeds: int, capacity: int, device: str, learner_device: str) -> Priorities | None:
        from composer.replay.priorities import LossAdjustedPriorities

        return LossAdjustedPriorities(seeds, capacity, self.exponent, self.minimum, self.refresh, device)
