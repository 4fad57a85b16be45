"""Success: how often a task was solved in an episode, and the shares of episodes that publications report.

Tests: tests/environments/test_success.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from typing_extensions import override

from composer.environments.base import SingleSimulator
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Score = Literal["return", "success", "sustained_success"]
"""What an evaluation is judged by. ``success``: the episode was solved after at least one decision, as in SimBa
(arXiv:2410.09754). ``sustained_success``: after more than 5 environment steps, as in MyoSuite (arXiv:2205.13600)."""
SUSTAINED_STEPS: Final = 5
"""Environment steps that are too few for a sustained success: ``successful_steps`` of MyoSuite's own evaluation."""

RETURN: Final = Metric("evaluation/return", "mean return of an evaluation's episodes", "return")
SHARES: Final = {
    "success": Metric(
        "evaluation/success", "share of an evaluation's episodes that were solved after a decision", "share", 0.0, 1.0
    ),
    "sustained_success": Metric(
        "evaluation/sustained_success",
        f"share of an evaluation's episodes that were solved after more than {SUSTAINED_STEPS} environment steps",
        "share",
        0.0,
        1.0,
    ),
}
"""Metrics of environments that tell success, by their name as a score."""


def episode_scores(returns: NDArray[np.float64], solved: NDArray[np.int64]) -> Mapping[str, NDArray[np.float64]]:
    """Scores of episodes by the name of their metric, each [n]: returns [n] themselves, success 0 or 1.

    ``solved`` [n, 2] counts the environment steps and the decisions of each episode after which it was solved.
    """
    return {
        RETURN.name: returns,
        SHARES["success"].name: (solved[:, 1] > 0).astype(float),
        SHARES["sustained_success"].name: (solved[:, 0] > SUSTAINED_STEPS).astype(float),
    }


class SuccessSimulator(SingleSimulator, abstract=True):
    """A declaration of environments that may tell success. Evaluations then report return and both shares of success.

    A kind adds ``scored_by``, and sets ``tells_success`` of what it describes where that is not None.
    """

    @property
    def scored_by(self) -> Score | None:
        """What evaluations are judged by; None where the environment does not tell success, and only returns are."""
        return None

    @property
    def return_range(self) -> tuple[float, float]:
        """The lowest and the highest possible return."""
        return -math.inf, math.inf

    @property
    @override
    def metric(self) -> str:
        return self.evaluation_metric().name

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        metric = self.evaluation_metric()
        return metric.low, metric.high

    @override
    def evaluation_metric(self) -> Metric:
        return self._scores()[self.scored_by or "return"]

    @override
    def further_evaluation_metrics(self) -> tuple[Metric, ...]:
        first, found = self.scored_by, self._scores()
        shares = tuple(metric for score, metric in found.items() if score != first) if first else ()
        return (*shares, *super().further_evaluation_metrics())

    @override
    def training_metrics(self) -> tuple[Metric, ...]:
        low, high = self.return_range
        returns, *others = super().training_metrics()
        return (returns._replace(low=low, high=high), *others)

    def _scores(self) -> Mapping[str, Metric]:
        low, high = self.return_range
        return {"return": RETURN._replace(low=low, high=high), **SHARES}
