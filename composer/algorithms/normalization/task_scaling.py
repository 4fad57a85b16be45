"""The scale of rewards by task, from the largest returns of whole episodes: the spec.

Its state is in ``task_returns``. Tests: tests/papers/test_task_scaling.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.algorithms.normalization.spec import RewardScale

if TYPE_CHECKING:
    from torch import Tensor

    from composer.algorithms.normalization.returns import RunningReturns
    from composer.optim.hyperparameters import Hyperparameters


class BRCScaling(RewardScale, kind="brc"):
    """By the largest size of a return of the task, ``r bound / (max|G| - temperature entropy horizon / 2)``.

    ``G`` are discounted returns from each step to the end of its episode, which are known once it has ended; where the
    time limit ended it, what follows counts as its mean reward times the horizon, ``1 / (1 - discount)``. Temperature
    and target entropy are those of the algorithm, 0 where it has none. Until an episode of a task has ended, its
    rewards count as 0. In environments of several tasks each has a scale of its own.
    Source: BRC, arXiv:2505.23150, and its released code.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "brc"}
    needs_episodes = True

    bound: float = Field(default=10.0, gt=0, le=1e6)
    """Largest size of a scaled return: 10 in BRC, whose critic's atoms end there."""

    @override
    def build(self, hyperparameters: Hyperparameters, environments: int, discount: Tensor) -> RunningReturns:
        from composer.algorithms.normalization.task_returns import TaskReturns

        return TaskReturns(hyperparameters, environments, discount, self.bound)
