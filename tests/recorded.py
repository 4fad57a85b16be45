"""Transitions of ``test/drift`` under random actions, as data sets of the tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from drift import Drift

TASK = "task = { kind = 'test/drift' }"


@cache
def drift_columns(episodes: int = 12) -> dict[str, np.ndarray]:
    """Whole episodes, one after another; D4RL's columns."""
    environment, draw = Drift(limit=17).make([1], "recorded"), np.random.default_rng(0)
    names = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
    rows: list[tuple[np.ndarray, ...]] = []
    observation = environment.reset().copy()
    while sum(bool(row[3][0] | row[4][0]) for row in rows) < episodes:
        action = draw.uniform(-1, 1, (1, 2)).astype(np.float32)
        step = environment.step(action)
        kept = (observation, action, step.reward, step.terminated, step.truncated, step.final_observation)
        rows.append(tuple(each.copy() for each in kept))
        observation = step.observation.copy()
    environment.close()
    return {name: np.concatenate(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def drift_file(folder: Path, **changed: np.ndarray) -> Path:
    """They as a file of NumPy, with some columns ``changed``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "drift.npz", **{**drift_columns(), **changed})
    return folder / "drift.npz"


def offline(path: Path, more: str = "") -> str:
    """The override that learns from a file; ``more`` begins with a comma."""
    return f"environment={{ kind = 'offline', {TASK}, data = {{ kind = 'file', path = '{path}' }}{more} }}"
