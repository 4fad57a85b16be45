"""The replay memory that an environment's observations need. Tests: tests/training/test_loop.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from composer.replay.frames import Frames
from composer.replay.ring import Ring
from composer.replay.storage import Storage
from composer.replay.vectors import Replay

if TYPE_CHECKING:
    from composer.environments.interface import EnvironmentInfo


def make_ring(
    info: EnvironmentInfo, seeds: int, environments: int, capacity: int, device: str, storage: Storage | None = None
) -> Ring:
    """Frames for pictures, packed rows for vectors; ``capacity`` transitions a seed.

    They lie on the learner's ``device`` but for a ``storage`` that says otherwise.
    """
    lies, action = storage or Storage(device), info.action_size
    if info.pictures:
        return Frames(seeds, environments, capacity, info.observation, info.stacked_frames, action, lies)
    return Replay(seeds, environments, capacity, math.prod(info.observation), action, lies)
