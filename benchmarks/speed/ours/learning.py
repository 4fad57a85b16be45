"""This project's learner as a candidate: the drawing and the update that the training loop calls.

Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from benchmarks.speed.counting import count_flops, size
from benchmarks.speed.workloads.contents import pictures, stacks, transitions
from composer.replay.frames import FrameRing
from composer.training.assemble.kept_programs import keep_programs
from composer.training.collect.build import make_ring
from composer.training.collect.off_policy import ReplayMemory
from composer.training.collect.on_policy import Rollout
from composer.training.compile.capture import choose
from composer.training.learner import Learner
from composer.training.waiting_threads import watch_contention

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.base import AgentWorkload
    from composer.blueprint import Blueprint
    from composer.environments.interface import EnvironmentInfo
    from composer.replay.ring import Ring

DEVICE: Final = "cpu"
"""The comparison is on CPUs; GPUs need another protocol (graphs, streams, transfers)."""


class LearnerSubject:
    """A learner and its data. All seeds have the same transitions and draw their own batches."""

    def __init__(self, blueprint: Blueprint, rows: int) -> None:
        """Fresh weights over ``rows`` transitions; compiled code is made by the first update."""
        info = blueprint.environment.info
        watch_contention()
        # Bounds do not matter where the mode says "always" or "never".
        self.learner = Learner(blueprint.agent, DEVICE, choose(blueprint.compute.compile, DEVICE, 0))
        if self.learner.choice.compiled:
            keep_programs(self.learner, blueprint, print)
        self._memory, self._updates = _memory(blueprint, info, rows, self.learner)
        self._agents = len(blueprint.seeds)
        self.units = self._agents * self._updates

    def call(self) -> None:
        """Draw and learn as the training loop does: one update, or all updates of a rollout."""
        for _ in range(self._updates):
            self.learner.follow_schedules()
            self.learner.update(*self._memory.draw())
            self._memory.learned()

    def eager_update(self) -> Callable[[], None]:
        """One eager update on a new batch, for counting operations."""
        batch, extra = self._memory.draw()
        asked = [extra[name] for name in self.learner.program.extras]
        noise = [
            torch.randn(self._agents, self.learner.batch_size, *shape, device=DEVICE)
            for shape in self.learner.program.noise.values()
        ]
        return lambda: self.learner.compute_update(*batch, *asked, *noise)

    def settle(self) -> None:
        """Read the signals, as the training loop does at each logging interval."""
        self.learner.drain_signals()

    def parameters(self) -> Mapping[str, int]:
        """Parameters of one seed: networks, learned scalars and averages."""
        held = self.learner
        stacks = {role: network.parameters for role, network in held.networks.items()}
        stacks |= {role: dict(scalars) for role, scalars in held.scalars.items()}
        stacks |= {name: average.parameters for name, average in held.averages.items()}
        return {name: size(stack.values()) // self._agents for name, stack in stacks.items()}

    def flops(self) -> int:
        """Operations of an update of one seed, without the evaluation of a rollout."""
        return count_flops(self.eager_update()) // self._agents


def learner(workload: AgentWorkload, candidate: Candidate) -> LearnerSubject:
    """The learner that a workload describes, with as many seeds as the candidate says."""
    return LearnerSubject(workload.load(candidate.seeds, candidate.compiles), workload.rows)


def _memory(
    blueprint: Blueprint, info: EnvironmentInfo, rows: int, held: Learner
) -> tuple[ReplayMemory | Rollout, int]:
    """The filled memory that updates draw from, and the number of updates per call."""
    algorithm, seeds = blueprint.algorithm, len(blueprint.seeds)
    if (plan := algorithm.rollout_plan) is None:
        ring = make_ring(info, seeds, 1, rows, DEVICE)
        _fill(ring, info, seeds)
        schedule = algorithm.update_schedule(info)
        ahead = schedule.future, held, algorithm.bursts, schedule.sequence
        return ReplayMemory(ring, blueprint.replay.sampling, *ahead), 1
    copies = blueprint.environment.copies_per_seed
    ring = make_ring(info, seeds, copies, plan.interactions * copies, DEVICE)
    _fill(ring, info, seeds)
    return Rollout(ring, plan, copies, held), plan.epochs * plan.minibatches


def _fill(ring: Ring, info: EnvironmentInfo, seeds: int) -> None:
    """Fill with the synthetic contents, for every seed."""
    if isinstance(ring, FrameRing):
        film = pictures(ring.capacity, info)
        seen = torch.from_numpy(stacks(film, info.stacked_frames).copy())
        action = torch.eye(info.action_size)[torch.from_numpy(film.action)]
        told = [torch.from_numpy(film.reward), torch.zeros(ring.capacity).bool(), torch.from_numpy(film.ended) > 0]
        for time in range(ring.capacity):
            session = (seen[time], action[time], *(each[time] for each in told), seen[time + 1])
            ring.add(*(part.expand(seeds, 1, *part.shape) for part in session))
        return
    columns = [part.reshape(ring.capacity, -1) for part in transitions(ring.capacity, info)]
    rows = torch.from_numpy(np.concatenate(columns, axis=1))
    ring.restore(0, rows[:, None].expand(-1, seeds, -1))
