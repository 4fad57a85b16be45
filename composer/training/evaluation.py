"""The interface of evaluators, and the one that plays episodes. Evaluating changes nothing of the agent.

Evaluators on labelled data are in ``composer.training.collect``. Tests: tests/training/test_loop.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from composer.environments.coverage import COVERAGE, Coverage, VisitedCells
from composer.environments.rewards.base import LEARNED_RETURN
from composer.environments.success import episode_scores
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from composer.environments.base import Simulator
    from composer.environments.interface import Observations, VectorEnvironment
    from composer.training.learner import Learner


Watch = Callable[["VectorEnvironment"], object]
"""Called with the environments before each decision in the episode of the first one."""


class Evaluator(Protocol):
    """Scores an agent on environments or data of its own."""

    metric: str
    """Name of the scores in the journal."""
    can_record_video: bool
    """Whether there are pictures to record, through the ``watch`` of ``returns``."""

    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Scores ``[S, episodes]``. ``number`` names the evaluation: equal numbers, equal episodes or data."""

    def more(self, learner: Learner, number: int) -> list[dict[str, float]]:
        """Further metrics of the same evaluation, a row per seed."""
        return [{} for _ in learner.seeds]

    def close(self) -> None:
        """Close environments and free data."""


class EpisodeEvaluator(Evaluator):
    """Scores of episodes of ``ActingPolicy.evaluate``: ``episodes`` per seed, all stepped together.

    A score is the undiscounted return, or whether the episode was a success.
    """

    can_record_video = True

    def __init__(
        self,
        environments: VectorEnvironment,
        seeds: Sequence[int],
        episodes: int,
        metric: str,
        further: Sequence[str] = (),
        coverage: Coverage | None = None,
    ) -> None:
        """``environments`` [S * episodes] belong to the ``seeds`` of a run, in equal shares.

        ``metric`` and ``further`` are names of ``episode_scores``, of the environments' ``scores``, or that of
        ``LEARNED_RETURN``. With ``coverage`` the cells that the episodes visit are counted.
        """
        self._environments, self._seeds, self._episodes = environments, tuple(seeds), episodes
        self.metric, self._further = metric, tuple(further)
        self._coverage = coverage
        self._visited: VisitedCells | None = None
        self._scores: Mapping[str, NDArray[np.float64]] = {}

    @classmethod
    def of(cls, environment: Simulator, seeds: Sequence[int], episodes: int) -> Self:
        """``seeds`` are the run's; each gets ``episodes`` environments. Raises EnvironmentFailure."""
        streams = [derive(seed, "episode", episode) for seed in seeds for episode in range(episodes)]
        made = environment.for_evaluation().make(streams, "evaluation")
        counted = (COVERAGE.name,) if environment.coverage else ()
        further = [m.name for m in environment.further_evaluation_metrics() if m.name not in counted]
        return cls(made, seeds, episodes, environment.metric, further, environment.coverage)

    def returns(self, learner: Learner, number: int, watch: Watch | None = None) -> NDArray[np.float64]:
        """Scores ``[S, episodes]`` of evaluation ``number``: equal numbers, equal episodes."""
        shape = (len(self._seeds), self._episodes)
        observation = self._environments.reset(episode=number)
        learner.policy.begin_evaluation(number)
        returns, solved = np.zeros(self._environments.n), np.zeros((self._environments.n, 2), np.int64)
        others = {name: np.zeros(self._environments.n) for name in self._environments.scores()}
        learned, running = np.zeros(self._environments.n), np.ones(self._environments.n, dtype=bool)
        self._visited = None if self._coverage is None else VisitedCells(self._coverage, len(self._seeds))
        self._visit(observation, running)
        while running.any():
            if watch is not None and running[0]:
                watch(self._environments)
            raw = torch.from_numpy(observation).to(learner.device).unflatten(0, shape)
            actions = learner.act(raw, explore=False)
            step = self._environments.step(actions.flatten(0, 1).cpu().numpy())
            self._visit(step.final_observation, running)
            ended = running & (step.terminated | step.truncated)
            returns[ended] = step.episode_return[ended]
            learned[running] += step.reward[running]
            if self._environments.info.tells_success:
                solved[ended] = self._environments.solved()[ended]
            for name, values in others.items():
                values[ended] = self._environments.scores()[name][ended]
            running &= ~ended
            observation = step.observation
        # A kind may have a name of its own for the return.
        found = {self.metric: returns, **episode_scores(returns, solved), **others, LEARNED_RETURN.name: learned}
        self._scores = {name: scores.reshape(shape) for name, scores in found.items()}
        return self._scores[self.metric]

    @override
    def more(self, learner: Learner, number: int) -> list[dict[str, float]]:
        """The further metrics of the evaluation that ``returns`` has just played."""
        rows = [self._more_of(index) for index in range(len(self._seeds))]
        if self._visited is not None:
            for row, count in zip(rows, self._visited.counts, strict=True):
                row[COVERAGE.name] = float(count)
        return rows

    def _visit(self, observation: Observations, running: NDArray[np.bool_]) -> None:
        """Count where the environments that are ``running`` have come to."""
        if self._visited is not None:
            pictures = self._environments.info.pictures
            self._visited.visit(self._environments.places() if pictures else observation, running)

    def _more_of(self, seed: int) -> dict[str, float]:
        """Means over the episodes that have a score; a score that none has is left out."""
        rows = ((name, self._scores[name][seed]) for name in self._further)
        scored = ((name, values[~np.isnan(values)]) for name, values in rows)
        return {name: float(values.mean()) for name, values in scored if values.size}

    def close(self) -> None:
        """Close the environments."""
        self._environments.close()
