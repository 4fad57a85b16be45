"""The horizon of updates: the n-step window and the discount, which may follow schedules.

Legend: S seeds. Tests: tests/optim/test_schedules.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from composer.algorithms.base import AgentDeclaration
from composer.optim.hyperparameters import Hyperparameters
from composer.optim.steps import OptimizerState


class Horizon:
    """The n-step window and the discount at the present update."""

    def __init__(self, agent: AgentDeclaration, hyperparameters: Hyperparameters) -> None:
        """With the longest n-step window and the last discount."""
        declared = agent.algorithm.update_schedule(agent.info)
        schedules = agent.algorithm.horizon_schedules()
        self.n_step = declared.n_step
        """Longest window of rewards before a value is bootstrapped."""
        self.discount = hyperparameters.number(declared.discount)
        """Of one interaction, ``[S]``."""
        self.lengths: Tensor | None = None
        """Rewards summed at the present update, ``[S]``; None where always ``n_step``."""
        self._role = schedules.role
        self._n_step_at = schedules.n_step.build(hyperparameters) if schedules.n_step else None
        complement = schedules.one_minus_discount
        self._one_minus_discount_at = complement.build(hyperparameters) if complement else None

    @property
    def changes(self) -> bool:
        """Whether it changes from update to update."""
        return self._n_step_at is not None or self._one_minus_discount_at is not None

    def follow_schedules(self, optimizers: Mapping[str, OptimizerState]) -> None:
        """Bring ``discount`` and ``lengths`` to the present update, on the clock of a role's optimizer."""
        if self._n_step_at is not None:
            self.lengths = self._n_step_at(optimizers[self._role].clock()).round()
        if self._one_minus_discount_at is not None:
            self.discount.copy_(1 - self._one_minus_discount_at(optimizers[self._role].clock()))
