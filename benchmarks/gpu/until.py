"""Stop a run as Ctrl-C does: the interaction is finished and the state saved.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import signal
import time

from composer.tracking.console import Console


class Until(Console):
    """A silent console that asks the run to stop at an environment step, or once a time is over."""

    def __init__(self, total_env_steps: int, *, at: int | None = None, deadline: float | None = None) -> None:
        """``deadline`` is a time of ``time.monotonic``."""
        super().__init__(total_env_steps, enabled=False)
        self._at, self._deadline, self._asked = at, deadline, False

    def update(self, env_step: int, updates: int) -> None:
        """The loop calls it, where signals are only recorded: at most one is sent."""
        over = (self._at is not None and env_step >= self._at) or (
            self._deadline is not None and time.monotonic() >= self._deadline
        )
        if over and not self._asked:
            self._asked = True
            signal.raise_signal(signal.SIGTERM)
