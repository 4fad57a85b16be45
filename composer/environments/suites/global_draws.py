"""Episodes of environments that draw from NumPy's global generator: made to follow from the seed of their reset.

Tests: tests/environments/test_registered.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np


class GlobalDraws(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment with a global generator of its own, which a reset seeds together with its action space.

    The program's own global generator is as before after each call.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        self._state: Any = np.random.RandomState(0).get_state(legacy=False)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start the episode of ``seed``."""
        if seed is not None:
            self._state = np.random.RandomState(seed).get_state(legacy=False)
            self.env.action_space.seed(seed)
        with self._own_draws():
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step."""
        with self._own_draws():
            return self.env.step(action)

    @contextmanager
    def _own_draws(self) -> Iterator[None]:
        others = np.random.get_state(legacy=False)
        np.random.set_state(self._state)
        try:
            yield
        finally:
            self._state = np.random.get_state(legacy=False)
            np.random.set_state(others)
