"""stable-baselines3's SAC over a plain MLP, on the device: its own ``train`` over its own replay buffer.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from benchmarks.gpu.setting import Setting
    from composer.blueprint import Blueprint

_ROWS: Final = 10_000


def missing() -> str | None:
    """What is not installed, in words."""
    return None if find_spec("stable_baselines3") else "needs stable_baselines3"


def stable_baselines(blueprint: Blueprint, setting: Setting) -> Callable[[], object]:
    """One gradient step of an agent with the blueprint's batch and widths, random transitions in its buffer."""
    import gymnasium
    from stable_baselines3 import SAC
    from stable_baselines3.common.logger import Logger

    info, algorithm = blueprint.environment.info, blueprint.algorithm

    class Spaces(gymnasium.Env[Any, Any]):
        """Tells the sizes; nothing is ever stepped."""

        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, info.observation, np.float32)
        action_space = gymnasium.spaces.Box(-1, 1, (info.action_size,), np.float32)

    widths = [plan.shape[0] for path, plan in _hidden(blueprint)]
    model = SAC(
        "MlpPolicy",
        Spaces(),
        buffer_size=_ROWS,
        batch_size=algorithm.batch_size,
        policy_kwargs={"net_arch": widths, "n_critics": blueprint.networks["critic"].copies},
        seed=0,
        device=setting.device,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    buffer: Any = model.replay_buffer
    draws = np.random.default_rng(0)
    for column in (buffer.observations, buffer.next_observations, buffer.rewards):
        column[:] = draws.standard_normal(column.shape)
    buffer.actions[:] = draws.uniform(-1, 1, buffer.actions.shape)
    buffer.full = True
    return partial(model.train, gradient_steps=1, batch_size=algorithm.batch_size)


def _hidden(blueprint: Blueprint) -> list[tuple[str, Any]]:
    """Weight matrices of the critic's trunk."""
    outline: Any = blueprint.outlines["critic"]
    return [
        (path, plan) for path, plan in outline.named_parameters() if path.startswith("trunk.") and len(plan.shape) == 2
    ]
