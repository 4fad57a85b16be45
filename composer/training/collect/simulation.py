"""Acting: policies step environments, transitions go into a replay memory, updates draw from it.

Legend: S seeds, E environments of a seed, d observation, a action. Tests: tests/training/test_loop.py.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from composer.replay.transitions import Minibatch
from composer.training.collect.base import Collector, without_prefix
from composer.training.runs.checkpoint import Checkpoints, Segment, Snapshot

if TYPE_CHECKING:
    from composer.environments.interface import Observations, Step, VectorEnvironment
    from composer.replay.ring import Ring
    from composer.training.collect.off_policy import ReplayMemory
    from composer.training.collect.on_policy import Rollout
    from composer.training.learner import Learner

_ENVIRONMENT = "environment/"
RING = "replay/"
"""Before the names of what a replay memory saves beside its rows."""


class SimulatorCollector(Collector):
    """Environments, what to act on next, and everything that has been seen."""

    replay: Ring

    def __init__(
        self,
        learner: Learner,
        environments: VectorEnvironment,
        memory: ReplayMemory | Rollout,
        warmup: int,
        overlap: bool = False,
    ) -> None:
        """``warmup`` interactions are random. With ``overlap`` environments step beside the updates."""
        self.environments, self.memory, self.episodes = environments, memory, Episodes(len(learner.seeds))
        self.replay = memory.ring
        self.observation: Observations = np.zeros(0, np.float32)
        """``[S * E, d]``: what to act on next."""
        self.segments: list[Segment] = []
        """Replay rows already on disk."""
        self._learner, self._warmup = learner, warmup
        self.can_prefetch = memory.can_prefetch and not learner.horizon.changes
        self._shape = (len(learner.seeds), environments.n // len(learner.seeds))
        self._beside = ThreadPoolExecutor(1, "environments") if overlap else None
        self._waiting: tuple[Tensor, Tensor, Future[Step]] | None = None

    def begin(self) -> None:
        """Reset the environments."""
        self.observation = self.environments.reset()

    def interact(self, interactions: int) -> None:
        """Act, step, store; with ``overlap`` the last two go on beside the updates, until ``finish_step``."""
        learner, device, shape = self._learner, self._learner.device, self._shape
        here = torch.from_numpy(self.observation).unflatten(0, shape)
        observation = here.to(device)
        if interactions:  # The first observation of all is never counted, as in SimBa's published code.
            learner.observe(observation)
        warming = interactions < self._warmup
        action = learner.act_randomly(shape[1]) if warming else learner.act(observation)
        played = learner.program.to_env_action(action).flatten(0, 1).cpu().numpy()
        # Nothing is under way on the device now: bringing an action to the replay's host waits for no update.
        kept = (observation if self.replay.device == device else here), action.to(self.replay.device)
        if self._beside is None:
            self._take(*kept, self.environments.step(played))
        else:
            self._waiting = *kept, self._beside.submit(self.environments.step, played)

    def finish_step(self) -> None:
        """Take in what the environments did beside the updates."""
        if self._waiting is not None:
            observation, action, step = self._waiting
            self._waiting = None
            self._take(observation, action, step.result())

    def _take(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Store where an action has led, and go on from there; both arguments are where the replay lies."""
        learner, shape = self._learner, self._shape
        moved = (step.reward, step.terminated, step.truncated, step.final_observation)
        kept = [torch.from_numpy(part).to(self.replay.device).unflatten(0, shape) for part in moved]
        if learner.rewards is not None:
            learner.rewards.observe(*(part.to(learner.device) for part in kept[:3]))
        self.memory.add(observation, action, *kept)
        self.observation = step.observation
        self.episodes.count(step)

    def batch(self) -> Minibatch:
        """A draw from the replay memory."""
        self._learner.follow_schedules()
        return self.memory.draw()

    def learned(self) -> None:
        """The memory hears what the update found."""
        self.memory.learned()

    def epochs(self, interactions: int) -> int:
        """0: experience is no data set."""
        return 0

    def metrics(self) -> list[dict[str, float]]:
        """Of the training episodes that ended."""
        return self.episodes.drain()

    def save(self, checkpoints: Checkpoints) -> None:
        """Append the rows that are not on disk yet; segments that the ring has overwritten are let go."""
        held = self.replay.added - self.replay.size
        start = max(self.segments[-1].stop if self.segments else 0, held)
        if self.replay.added > start:
            self.segments.append(checkpoints.append_rows(start, self.replay.rows(start, self.replay.added)))
        self.segments = [segment for segment in self.segments if segment.stop > held]

    def snapshot(self) -> Snapshot:
        """Environments, episodes in progress, where the ring stands."""
        tensors = {
            _ENVIRONMENT + name: torch.from_numpy(np.array(value)) for name, value in self.environments.state().items()
        }
        tensors |= {RING + name: value for name, value in self.memory.tensors().items()}
        tensors["episodes"] = torch.from_numpy(self.episodes.totals.copy())
        values = {"replay_added": self.replay.added, "replay_start": self.replay.added - self.replay.size}
        return Snapshot(tensors, values, tuple(self.segments))

    def restore(self, snapshot: Snapshot, checkpoints: Checkpoints) -> None:
        """Replay the episodes in progress, and fill the ring."""
        state = {name: value.numpy() for name, value in without_prefix(_ENVIRONMENT, snapshot.tensors).items()}
        self.observation = self.environments.load_state(state)
        self.episodes.totals[:] = snapshot.tensors["episodes"].numpy()
        # A fork's ring may be smaller than the one that was saved: it keeps the newest.
        first = max(snapshot.values["replay_start"], snapshot.values["replay_added"] - self.replay.capacity)
        for start, rows in checkpoints.rows(snapshot):
            skip = max(0, first - start)
            self.replay.restore(start + skip, rows[skip:])
        self.memory.load(without_prefix(RING, snapshot.tensors))
        self.segments = list(snapshot.segments)

    def close(self) -> None:
        """Close the environments."""
        if self._beside is not None:
            self._beside.shutdown()
        self.environments.close()


class Episodes:
    """Returns and lengths of training episodes that ended since the last row of metrics."""

    def __init__(self, seeds: int) -> None:
        """No episode has ended."""
        self.totals = np.zeros((seeds, 3))

    def count(self, step: Step) -> None:
        """Take in the episodes that ended in one decision of S × E environments."""
        ended = step.terminated | step.truncated
        if ended.any():
            each = np.stack([ended, step.episode_return * ended, step.episode_length * ended], -1)
            self.totals += each.reshape(len(self.totals), -1, 3).sum(1)

    def drain(self) -> list[dict[str, float]]:
        """Mean return and length a seed, empty where none ended; starts anew."""
        rows = [
            {"training/return": float(total / n), "training/episode_length": float(length / n)} if n else {}
            for n, total, length in self.totals
        ]
        self.totals[:] = 0
        return rows
