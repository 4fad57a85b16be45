"""The training loop of this project, ``composer.training.loop.interactions``, over a temporary run directory.

Tests: tests/benchmarks/test_speed_parties.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.speed.counting import size
from composer.training import assemble
from composer.training.loop import interactions

if TYPE_CHECKING:
    from benchmarks.speed.party import Party
    from benchmarks.speed.workloads.agents import Looping
    from composer.training.session import Session


class LoopSubject:
    """A run that has passed its warm-up. Nothing is logged, evaluated or saved."""

    units = 1

    def __init__(self, session: Session, folder: tempfile.TemporaryDirectory[str]) -> None:
        """``folder`` holds the run, as long as this lives."""
        self._folder, self._session = folder, session
        self._course = interactions(session)
        while session.clock.updates == 0:
            next(self._course)

    def call(self) -> None:
        """One decision of one environment, and the update that it owes."""
        next(self._course)

    def settle(self) -> None:
        """Read the signals, as a logging interval does."""
        self._session.learner.drain_signals()

    def parameters(self) -> Mapping[str, int]:
        """Of the networks that are trained."""
        return {role: size(network.parameters.values()) for role, network in self._session.learner.networks.items()}

    def flops(self) -> int:
        """Not counted: the workload of the learner alone does."""
        return 0


def loop(workload: Looping, party: Party) -> LoopSubject:
    """A run of the workload's blueprint."""
    folder = tempfile.TemporaryDirectory(prefix="composer-bench-", ignore_cleanup_errors=True)
    _, session = assemble.start(workload.load(party.seeds, party.compiles), Path(folder.name), None)
    return LoopSubject(session, folder)
