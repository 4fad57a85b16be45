"""The environment of the tiny runs: plain arithmetic. Worker processes import this module, and with it no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from composer.environments import EnvironmentInfo, SingleSimulator


class Drift(SingleSimulator, kind="test/drift"):
    """A mass on a line, pushed by actions: ends by itself far out, by time after ``limit`` steps."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/drift"}

    limit: int = 23
    edge: float = 1.5
    raises_at: int = 0
    """The step, of all that this environment takes, at which it raises; 0 for never."""

    def describe(self) -> EnvironmentInfo:
        """Position, speed and time in, two pushes out."""
        return EnvironmentInfo((3,), 2, self.limit, self.action_repeat, terminates=True)

    def single(self) -> DriftSingle:
        """One mass."""
        return DriftSingle(self)


class DriftSingle:
    """One of them."""

    def __init__(self, declared: Drift) -> None:
        self._declared, self._taken = declared, 0
        self._x = self._v = 0.0
        self._t = 0

    def reset(self, seed: int) -> None:
        self._x, self._v, self._t = seed / 2**63 - 0.5, 0.0, 0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        self._taken += 1
        if self._taken == self._declared.raises_at:
            raise ZeroDivisionError("no mass")
        self._v += 0.1 * float(action[0]) + 0.05 * float(action[1])
        self._x += self._v
        self._t += 1
        out = abs(self._x) > self._declared.edge
        return 1.0 - abs(self._x), out, self._t >= self._declared.limit and not out

    def observe(self) -> np.ndarray:
        return np.array([self._x, self._v, self._t / self._declared.limit], np.float32)

    def render(self) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def close(self) -> None:
        self._t = 0
