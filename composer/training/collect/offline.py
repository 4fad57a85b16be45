"""Learning from a data set, and then perhaps from environments: interactions that make none, and the change between.

The offline part needs no environment. The online part is that of a simulator, whose transitions go to a memory of
their own; updates draw from data and own transitions as declared.
Legend: S seeds. Tests: tests/training/test_offline.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from typing_extensions import override

from composer.environments.offline.offline import NORMALIZED_SCORE
from composer.environments.success import RETURN
from composer.replay.transitions import Minibatch
from composer.training.collect.base import Collector
from composer.training.collect.offline_data import observations, rewards_and_ends
from composer.training.collect.simulation import SimulatorCollector
from composer.training.evaluation import EpisodeEvaluator
from composer.training.runs.checkpoint import Checkpoints, Snapshot

if TYPE_CHECKING:
    from composer.environments.interface import Step
    from composer.environments.offline.offline import Offline
    from composer.training.collect.data_replay import DataReplay, DataSource
    from composer.training.learner import Learner

ONLINE = "is_online"
"""The key of a snapshot's values that says that the agent has begun to act."""


class OwnCollector(SimulatorCollector):
    """Steps environments whose rewards are changed as those of the data are, before they are learned from."""

    factor = 1.0
    offset = 0.0

    @override
    def _as_stored(self, step: Step) -> Step:
        if (self.factor, self.offset) == (1.0, 0.0):
            return step
        return step._replace(reward=(self.factor * (step.reward.astype("float64") + self.offset)).astype("float32"))


class OfflineCollector(Collector):
    """Draws from a data set; the agent acts from the declared interaction on."""

    replay: DataSource

    def __init__(
        self, declared: Offline, learner: Learner, memory: DataReplay, make_online: Callable[[], OwnCollector]
    ) -> None:
        """``make_online`` makes the collector of the online part, whose environments are built only then."""
        self._declared, self._learner, self._memory, self._make_online = declared, learner, memory, make_online
        self._online: OwnCollector | None = None
        self.replay = memory.source
        self.can_prefetch = memory.can_prefetch and not learner.horizon.changes
        self._data_digest = declared.data.digest()

    @override
    def begin(self) -> None:
        """Count the data in the running statistics."""
        data = self._memory.source.data
        if (statistics := self._learner.statistics) is not None:
            statistics.count_data(observations(data))
        if (rewards := self._learner.rewards) is not None:
            rewards.count_data(*rewards_and_ends(data))

    @override
    def interact(self, interactions: int) -> None:
        offline = self._declared.offline_interactions
        if self._online is None and offline is not None and interactions >= offline:
            online = self._make_online()
            online.begin()
            self._act(online)
            if interactions:
                self.switched(torch.ones(len(self._learner.seeds), dtype=torch.bool), 1)
        if self._online is None:
            self._learner.interactions.fill_(interactions)
        else:
            self._online.interact(interactions)

    def _act(self, online: OwnCollector) -> None:
        self._online, self.can_save_failure = online, online.can_save_failure
        self._memory.source.is_online = True

    @override
    def batch(self) -> Minibatch:
        self._learner.follow_schedules()
        return self._memory.draw()

    @override
    def learned(self) -> None:
        self._memory.learned()

    @override
    def finish_step(self) -> None:
        if self._online is not None:
            self._online.finish_step()

    @override
    def epochs(self, interactions: int) -> int:
        return 0

    @override
    def data_digest(self) -> str:
        return self._data_digest

    @override
    def metrics(self) -> list[dict[str, float]]:
        """Those of the online part, and which part it is where there are two."""
        rows = [{} for _ in self._learner.seeds] if self._online is None else self._online.metrics()
        if self._declared.offline_interactions is None:
            return rows
        return [{**row, "training/phase": 1.0 + (self._online is not None)} for row in rows]

    @override
    def save(self, checkpoints: Checkpoints) -> None:
        if self._online is not None:
            self._online.save(checkpoints)

    @override
    def snapshot(self) -> Snapshot:
        """The priorities of the data, and the state of the online part once it has begun."""
        own = Snapshot({}, {"replay_added": 0, "replay_start": 0}, ())
        found = own if self._online is None else self._online.snapshot()
        values = {**found.values, ONLINE: self._online is not None}
        return replace(found, tensors={**found.tensors, **self._memory.tensors()}, values=values)

    @override
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        self._memory.load(snapshot.tensors)
        if snapshot.values[ONLINE]:
            online = self._make_online()
            online.may_restart = self.may_restart
            self._act(online)
            online.restore(snapshot, checkpoints)
            self.restarted = online.restarted

    @override
    def close(self) -> None:
        if self._online is not None:
            self._online.close()


class ScoredEvaluator(EpisodeEvaluator):
    """Plays the task of a data set; with references, returns are scores too."""

    references: tuple[float, float] | None = None

    @override
    def more(self, learner: Learner, number: int) -> list[dict[str, float]]:
        rows = super().more(learner, number)
        if self.references is None:
            return rows
        low, high = self.references
        means = self._scores[RETURN.name].mean(1)
        return [
            {**row, NORMALIZED_SCORE.name: float(100 * (mean - low) / (high - low))}
            for row, mean in zip(rows, means, strict=True)
        ]
