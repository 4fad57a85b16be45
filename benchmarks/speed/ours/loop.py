"""The training loop of this project, ``composer.training.loop.training_steps``, over a temporary run directory.

Tests: tests/benchmarks/test_speed_candidates.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.speed.counting import size
from composer.training import assemble
from composer.training.loop import training_steps

if TYPE_CHECKING:
    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.agents import Looping
    from composer.training.session import Session


class LoopSubject:
    """A run after its warm-up. It does not log, evaluate or save."""

    units = 1

    def __init__(self, session: Session, folder: tempfile.TemporaryDirectory[str]) -> None:
        """``folder`` is the run's, and is deleted with this object."""
        self._folder, self._session = folder, session
        self._steps = training_steps(session)
        while session.clock.updates == 0:
            self.call()

    def call(self) -> None:
        """One interaction of one environment, and its update."""
        while batches := next(self._steps):
            self._session.learner.learn(batches)

    def settle(self) -> None:
        """Read the signals, as at a logging interval."""
        self._session.learner.drain_signals()

    def parameters(self) -> Mapping[str, int]:
        """Parameters of the trained networks."""
        return {role: size(network.parameters.values()) for role, network in self._session.learner.networks.items()}

    def flops(self) -> int:
        """Not counted here but in the learner's workload."""
        return 0


def loop(workload: Looping, candidate: Candidate) -> LoopSubject:
    """A run of the workload's blueprint."""
    folder = tempfile.TemporaryDirectory(prefix="composer-bench-", ignore_cleanup_errors=True)
    _, session = assemble.start(workload.load(candidate.seeds, candidate.compiles), Path(folder.name), None)
    return LoopSubject(session, folder)
