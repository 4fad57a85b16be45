"""This project's learner as a party: the same sampling and the same update that the training loop calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from composer.compiling import choose
from composer.experience.replay import Replay
from composer.experience.transitions import Transitions
from composer.learner import Learner

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.study.bench.workloads import Workload

DEVICE = "cpu"
"""The peers' figures that these stand beside are a CPU's; a GPU needs another protocol (graphs, streams, transfers)."""


class LearnerSubject:
    """A learner over a full replay. Every seed holds the same transitions and samples its own."""

    def __init__(self, blueprint: Blueprint, workload: Workload) -> None:
        """Fresh weights; compiled code is made by the first update."""
        info = blueprint.environment.describe()
        (size,) = info.observation
        self.agents = len(blueprint.seeds)
        self._batch = blueprint.algorithm.batch_size
        # Bounds do not matter where the mode says "always" or "never".
        self._learner = Learner(blueprint, info, DEVICE, choose(blueprint.compute.compile, DEVICE, 0))
        self._replay = Replay(self.agents, 1, workload.rows, size, info.action_size, DEVICE)
        columns = [part.reshape(workload.rows, -1) for part in workload.transitions(size, info.action_size)]
        rows = torch.from_numpy(np.concatenate(columns, axis=1))
        self._replay.restore(0, rows[:, None].expand(-1, self.agents, -1))

    def update(self) -> None:
        """Sample and learn, as ``composer.loop.interactions`` does."""
        self._learner.update(self._sample())

    def update_eagerly(self) -> None:
        """The same, never compiled: what operations are counted on."""
        self._learner.update_eagerly(*self._sample(), *self._noise())

    def settle(self) -> None:
        """Read the signals, as the training loop does once a logging interval."""
        self._learner.drain_signals()

    def parameters(self) -> Mapping[str, int]:
        """Counts of one seed: networks, learned scalars and averages."""
        stacks = {role: network.parameters for role, network in self._learner.networks.items()}
        stacks |= {role: dict(scalars) for role, scalars in self._learner.scalars.items()}
        stacks |= {name: average.parameters for name, average in self._learner.averages.items()}
        return {name: sum(value.numel() for value in stack.values()) // self.agents for name, stack in stacks.items()}

    def flops(self) -> int:
        """Of the update of all seeds."""
        return count_flops(self.update_eagerly)

    def _sample(self) -> Transitions:
        learner = self._learner
        return self._replay.sample(self._batch, learner.n_step, learner.discount, learner.replay_generators)

    def _noise(self) -> list[torch.Tensor]:
        shapes = self._learner.program.noise.values()
        return [torch.randn(self.agents, self._batch, *shape, device=DEVICE) for shape in shapes]


def count_flops(call: Callable[[], object]) -> int:
    """Operations of the matrix products in one call, forward and backward, as torch's own counter sees them."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return int(counter.get_total_flops())
