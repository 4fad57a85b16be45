"""Collecting from simulators: a policy steps environments, and transitions go into a memory that updates draw from.

Legend: S seeds, E environments of a seed, d observation, a action. Tests: tests/training/test_loop.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from composer.environments.interface import EnvironmentFailure
from composer.replay.transitions import Minibatch
from composer.training.collect.base import Collector, without_prefix
from composer.training.profiling import timed
from composer.training.runs.checkpoint import Checkpoints, Segment, Snapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Observations, Step, VectorEnvironment
    from composer.replay.ring import Ring
    from composer.training.collect.assessment import Assessment
    from composer.training.collect.base import TransitionMemory
    from composer.training.learner import Learner

_ENVIRONMENT = "environment/"
_CHOSEN = "chosen/"
_ASSESSMENT = "assessment/"
RING = "replay/"
"""Prefix of the tensors that a replay memory saves beside its rows."""


class SimulatorCollector(Collector):
    """Environments, their present observations, and the memory of their transitions."""

    replay: Ring

    def __init__(
        self,
        learner: Learner,
        environments: VectorEnvironment,
        memory: TransitionMemory,
        warmup: int,
        overlap: bool = False,
        assessment: Assessment | None = None,
    ) -> None:
        """The first ``warmup`` interactions are random. With ``overlap`` environments step beside the updates."""
        self.assessment = assessment
        self._last: Step | None = None
        """The last step, where policies are assessed."""
        self.environments, self.memory, self.episodes = environments, memory, Episodes(len(learner.seeds))
        self.replay = memory.ring
        self.observation: Observations = np.zeros(0, np.float32)
        """``[S * E, d]``: the observations to act on next."""
        self.segments: list[Segment] = []
        """Replay rows already on disk."""
        self._learner, self._warmup = learner, warmup
        self.can_prefetch = memory.can_prefetch and not learner.horizon.changes
        self._shape = (len(learner.seeds), environments.n // len(learner.seeds))
        self._executor = ThreadPoolExecutor(1, "environments") if overlap else None
        self.can_save_failure = not overlap  # Updates beside the failed step cannot be taken back.
        self._chosen: Tensor | None = None
        """Actions of an interaction whose environment step has failed."""
        self._rows_before = 0
        """Rows of the replay before it was cleared last: files number rows from the beginning of the run."""
        self._cuts: list[int] = []
        """Numbers of replay rows at which new episodes were begun in place of the running ones."""
        self._pending: tuple[Tensor, Tensor, Future[Step]] | None = None

    @override
    def begin(self) -> None:
        self.observation = self.environments.reset()

    @override
    def interact(self, interactions: int) -> None:
        """Act, step and store; with ``overlap``, step beside the updates and store in ``finish_step``."""
        learner, device, shape = self._learner, self._learner.device, self._shape
        learner.interactions.fill_(interactions)
        here = torch.from_numpy(self.observation).unflatten(0, shape)
        observation = here.to(device)
        action = self._chosen
        if action is None:
            action = self._choose(observation, interactions)
        played = learner.program.to_env_action(action).flatten(0, 1).cpu().numpy()
        # The device is idle now, so copying the action to the host of the replay waits for no update.
        kept = (observation if self.replay.device == device else here), action.to(self.replay.device)
        if self._executor is None:
            self._chosen = action  # Until the step is done: a failed one is repeated under the same action.
            step = self._step(played)
            self._chosen = None
            self._store(*kept, step)
        else:
            self._pending = *kept, self._executor.submit(self._step, played)

    def _choose(self, observation: Tensor, interactions: int) -> Tensor:
        """The actions of an interaction, ``[S, E, a]``."""
        if interactions:  # SimBa's published code never counts the very first observation.
            self._learner.observe(observation)
            if self._learner.rewards is not None:
                self._learner.rewards.count_waiting()
        if interactions < self._warmup:
            if self.assessment is not None:
                self.assessment.acted_randomly()
            return self._learner.act_randomly(self._shape[1])
        return self.memory.act(observation)

    @override
    def finish_step(self) -> None:
        if self._pending is not None:
            observation, action, step = self._pending
            self._pending = None
            self._store(observation, action, step.result())

    @timed("environments: stepping")
    def _step(self, actions: NDArray[np.float32]) -> Step:
        return self.environments.step(actions)

    @timed("replay: storing")
    def _store(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Store a transition and continue from its end; observation and action are on the device of the replay."""
        learner, shape, stored = self._learner, self._shape, self._as_stored(step)
        moved = (stored.reward, stored.terminated, stored.truncated, stored.final_observation)
        kept = [torch.from_numpy(part).to(self.replay.device).unflatten(0, shape) for part in moved]
        if learner.rewards is not None:
            learner.rewards.arrive(*(part.to(learner.device) for part in kept[:3]))
        self.memory.add(observation, action, *kept)
        self.observation, self._last = step.observation, stored
        self.episodes.count(step)

    def _as_stored(self, step: Step) -> Step:
        """A step as it is learned from; an end that is added here is none of ``episodes``."""
        return step

    def clear_memory(self) -> None:
        """Forget all transitions."""
        self._rows_before += self.replay.added
        self.memory.clear()
        self.segments, self._cuts = [], []

    @override
    def assess(self, updates: int) -> None:
        if self.assessment is not None and self._last is not None:
            passed = self.assessment.count(self._last, updates)
            if passed is not None:
                self._learner.program.keep_policy(passed)

    @override
    def batch(self) -> Minibatch:
        self._learner.active = None if self.assessment is None else self.assessment.active
        self._learner.follow_schedules()
        return self.memory.draw()

    @override
    def burst(self, update: int) -> Iterator[Minibatch]:
        return self.memory.burst(update)

    @override
    def learned(self) -> None:
        self.memory.learned()

    @override
    def epochs(self, interactions: int) -> int:
        return 0

    @override
    def metrics(self) -> list[dict[str, float]]:
        """Mean return and length of the training episodes that ended, and the assessment of policies."""
        rows = self.episodes.drain()
        if self.assessment is None:
            return rows
        return [row | assessed for row, assessed in zip(rows, self.assessment.drain(), strict=True)]

    @override
    def save(self, checkpoints: Checkpoints) -> None:
        """Append the rows that are not on disk yet, and forget segments that the ring has overwritten."""
        before, stop = self._rows_before, self._rows_before + self.replay.added
        held = stop - self.replay.size
        start = max(self.segments[-1].stop if self.segments else 0, held)
        if stop > start:
            self.segments.append(checkpoints.append_rows(start, self.replay.rows(start - before, stop - before)))
        self.segments = [segment for segment in self.segments if segment.stop > held]

    @override
    def snapshot(self) -> Snapshot:
        """Environments, episodes in progress, and the position of the ring."""
        tensors = {
            _ENVIRONMENT + name: torch.from_numpy(np.array(value)) for name, value in self.environments.state().items()
        }
        tensors |= {RING + name: value for name, value in self.memory.tensors().items()}
        tensors["episodes"] = torch.from_numpy(self.episodes.totals.copy())
        if self.assessment is not None:
            tensors |= {f"{_ASSESSMENT}{name}": value.clone() for name, value in self.assessment.tensors().items()}
        values: dict[str, Any] = {
            "replay_added": self._rows_before + self.replay.added,
            "replay_start": self._rows_before + self.replay.added - self.replay.size,
        }
        if self._rows_before:
            values["replay_rows_before"] = self._rows_before
        # Present only after a failure, or an inexact resume.
        if self._chosen is not None:
            tensors |= {f"{_CHOSEN}action": self._chosen}
            tensors |= {f"{_CHOSEN}{name}": value for name, value in self.memory.acted.items()}
        if self._cuts:
            values["replay_cuts"] = self._cuts
        return Snapshot(tensors, values, tuple(self.segments))

    @override
    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Replay the episodes in progress, and fill the ring."""
        state = {name: value.numpy() for name, value in without_prefix(_ENVIRONMENT, snapshot.tensors).items()}
        chosen = without_prefix(_CHOSEN, snapshot.tensors)
        self._chosen, self.memory.acted = chosen.pop("action", None), chosen
        try:
            self.observation = self.environments.load_state(state)
        except EnvironmentFailure as failure:
            if not self.may_restart:
                failure.args = (
                    f"{failure}; composer resume --inexact begins new episodes in place of the running ones",
                )
                raise
            self.restarted = str(failure)
        self.episodes.totals[:] = snapshot.tensors["episodes"].numpy()
        # A fork may have a smaller ring: it keeps the newest rows.
        before = self._rows_before = snapshot.values.get("replay_rows_before", 0)
        first = max(snapshot.values["replay_start"], snapshot.values["replay_added"] - self.replay.capacity)
        for start, rows in checkpoints.rows(snapshot):
            skip = max(0, first - start)
            self.replay.restore(start - before + skip, rows[skip:])
        self.memory.load(without_prefix(RING, snapshot.tensors))
        if self.assessment is not None:
            if saved := without_prefix(_ASSESSMENT, snapshot.tensors):
                self.assessment.load(saved)
            else:  # A fork of a run that assessed no policies.
                self.assessment.begin_after(self._learner.updates)
        self.segments = list(snapshot.segments)
        self._cuts = list(snapshot.values.get("replay_cuts", ()))
        if self.restarted:
            self._restart()
        for cut in self._cuts:
            self.replay.cut(cut)

    def _restart(self) -> None:
        """Begin new episodes; the running ones end, truncated, at their last transition."""
        self.observation, self._chosen = self.environments.reset(), None
        self._cuts = [cut for cut in self._cuts if cut > self.replay.added - self.replay.size] + [self.replay.added]
        if self._learner.rewards is not None:
            self._learner.rewards.restart()

    @override
    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown()
        self.environments.close()


class Episodes:
    """Totals of the training episodes that ended since the last row of metrics: count, return, length ``[S, 3]``."""

    def __init__(self, seeds: int) -> None:
        """Totals of ``seeds`` seeds, all 0."""
        self.totals = np.zeros((seeds, 3))

    def count(self, step: Step) -> None:
        """Add the episodes that ended in one step of S × E environments."""
        ended = step.terminated | step.truncated
        if ended.any():
            each = np.stack([ended, step.episode_return * ended, step.episode_length * ended], -1)
            self.totals += each.reshape(len(self.totals), -1, 3).sum(1)

    def drain(self) -> list[dict[str, float]]:
        """Mean return and length per seed, empty where no episode ended; resets the totals."""
        rows = [
            {"training/return": float(total / n), "training/episode_length": float(length / n)} if n else {}
            for n, total, length in self.totals
        ]
        self.totals[:] = 0
        return rows
