"""A test environment whose course is plain to predict, and which fails in a chosen way when an action asks for it.

Observation: [fraction drawn from the episode's seed, environment steps so far, sum of actions so far]. Reward of a
step: its first action times 0.5, plus 1. An action whose first entry is exactly 1 sets off ``fault``.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from composer.environments import EnvironmentInfo, RenderingUnavailable, SingleSimulator

Fault = Literal["none", "raise", "hang", "kill", "nan", "infinite_reward", "raise_in_reset", "raise_in_build"]
TRIGGER = np.float32(1.0)


class Scripted(SingleSimulator, kind="test/scripted"):
    """Counts; ends by itself at ``terminates_at`` and by time at ``limit``."""

    example: ClassVar[Mapping[str, Any]] = {"kind": "test/scripted"}

    limit: int = 7
    terminates_at: int = 0
    declared_limit: int = 0
    fault: Fault = "none"

    def describe(self) -> EnvironmentInfo:
        """Three numbers in, two out."""
        return EnvironmentInfo(
            observation=(3,),
            action_size=2,
            episode_env_steps=self.declared_limit or self.limit,
            action_repeat=self.action_repeat,
            terminates=self.terminates_at > 0,
        )

    def single(self) -> ScriptedSingle:
        if self.fault == "raise_in_build":
            raise OSError("no such model")
        return ScriptedSingle(self)


class ScriptedSingle:
    """One of them."""

    def __init__(self, declared: Scripted) -> None:
        self._declared = declared
        self._triggered = False
        self._state = np.zeros(3, np.float32)

    def reset(self, seed: int) -> None:
        if self._triggered and self._declared.fault == "raise_in_reset":
            raise RuntimeError("the terrain is missing")
        self._state[:] = seed / 2**63, 0.0, 0.0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        self._triggered = bool(action[0] == TRIGGER)
        reward = float(action[0]) * 0.5 + 1.0
        if self._triggered:
            reward = self._fail(reward)
        self._state[1] += 1.0
        self._state[2] += action.sum()
        taken = int(self._state[1])
        terminated = taken == self._declared.terminates_at
        return reward, terminated, taken >= self._declared.limit and not terminated

    def observe(self) -> np.ndarray:
        if self._triggered and self._declared.fault == "nan":
            return np.array([0.0, np.nan, 0.0], np.float32)
        return self._state

    def render(self) -> np.ndarray:
        if self._state[1] == 0.0:
            raise RenderingUnavailable("nothing to see yet")
        return np.full((2, 3, 3), self._state[1], np.uint8)

    def close(self) -> None:
        self._declared = Scripted()

    def _fail(self, reward: float) -> float:
        match self._declared.fault:
            case "raise":
                raise ZeroDivisionError("joint without a mass")
            case "hang":
                print("hanging", flush=True)
                threading.Event().wait()
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "infinite_reward":
                return float("inf")
        return reward
