"""Rings filled with episodes of nothing, and what of them lies on a disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from composer.environments.interface import EnvironmentInfo
from composer.replay.ring import Ring

SEEDS, COPIES, CAPACITY = 2, 3, 24
VECTORS = EnvironmentInfo((5,), 2, 100, 1, terminates=True)
PICTURES = EnvironmentInfo((4, 3, 3), 2, 100, 1, terminates=True, pictures=True, stacked_frames=2)


def fill(ring: Ring, info: EnvironmentInfo, times: int) -> None:
    """Episodes that end now and then, so that pictures have seams; the same for every ring."""
    random = torch.Generator().manual_seed(1)

    def seen() -> Tensor:
        if info.pictures:
            return torch.randint(256, (SEEDS, COPIES, *info.observation), generator=random, dtype=torch.uint8)
        return torch.randn(SEEDS, COPIES, *info.observation, generator=random)

    observation = seen()
    for _ in range(times):
        action = torch.randn(SEEDS, COPIES, 2, generator=random)
        reward, draw = torch.randn(2, SEEDS, COPIES, generator=random)
        final = torch.cat([observation[:, :, 2:], seen()[:, :, 2:]], 2) if info.pictures else seen()
        terminated, truncated = draw > 1.2, draw < -1.2
        ring.add(observation, action, reward, terminated, truncated, final)
        over = (terminated | truncated).view(SEEDS, COPIES, *[1] * len(info.observation))
        observation = torch.where(over, seen(), final)


def maps(folder: Path) -> int:
    """Files without a name on the disk of a folder that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum(str(folder) in line and line.endswith("(deleted)") for line in lines)
