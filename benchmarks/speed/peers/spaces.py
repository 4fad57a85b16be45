"""Spaces of an environment that is never stepped, for libraries on Gymnasium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.environments.interface import EnvironmentInfo


class Spaces(gymnasium.Env[Any, Any]):
    """Has the spaces only."""

    def __init__(self, info: EnvironmentInfo) -> None:
        """Vectors or pictures, numbers or choices."""
        low, high, kind = (0, 255, np.uint8) if info.pictures else (-np.inf, np.inf, np.float32)
        self.observation_space = gymnasium.spaces.Box(low, high, info.observation, kind)
        if info.discrete:
            self.action_space = gymnasium.spaces.Discrete(info.action_size)
        else:
            self.action_space = gymnasium.spaces.Box(-1, 1, (info.action_size,), np.float32)


def sizes(blueprint: Blueprint, copies: int = 1) -> VecEnv:
    """As many as ``copies``; normalised by ``VecNormalize`` where the blueprint has running statistics."""
    info = blueprint.environment.info
    environment = DummyVecEnv([lambda: Spaces(info)] * copies)
    normalised = blueprint.normalization.observation.kind == "rs_norm"
    return VecNormalize(environment, norm_reward=False) if normalised else environment
