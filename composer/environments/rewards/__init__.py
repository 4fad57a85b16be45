"""Rewards that agents learn from in place of the environment's own."""

from composer.environments.rewards.base import Judge, RewardModel
from composer.environments.rewards.vision_language import VisionLanguage

__all__ = ["Judge", "RewardModel", "VisionLanguage"]
