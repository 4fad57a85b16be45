"""The replay memory that an environment's observations need. Tests: tests/contracts/test_loop.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from composer.experience.frames import Frames
from composer.experience.replay import Replay
from composer.experience.ring import Ring

if TYPE_CHECKING:
    from composer.environments.base import EnvironmentInfo


def make_ring(info: EnvironmentInfo, seeds: int, environments: int, capacity: int, device: str) -> Ring:
    """Frames for pictures, packed rows for vectors; ``capacity`` transitions a seed."""
    if info.pictures:
        return Frames(seeds, environments, capacity, info.observation, info.stacked_frames, info.action_size, device)
    return Replay(seeds, environments, capacity, math.prod(info.observation), info.action_size, device)
