"""Files of other libraries for the tests, with the names that these libraries give to tensors."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CARTPOLE = {
    "observation_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", "dtype": "float32", "_shape": [4]},
    "action_space": {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "2"},
    "policy_kwargs": {},
    "num_timesteps": 5_000,
}
"""The JSON of stable-baselines3, without what nobody reads."""


def mlp(*sizes: int, seed: int = 0, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Dense layers with an activation after each but the last."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [
            layer for inside, outside in pairwise(sizes)
            for layer in (nn.Linear(inside, outside), activation())
        ]  # fmt: skip
    return nn.Sequential(*layers[:-1])


def named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """The state dict of a module whose name is ``prefix``."""
    return {f"{prefix}.{name}": value.detach() for name, value in module.state_dict().items()}


def sb3(path: Path, weights: Any, facts: Mapping[str, Any] = CARTPOLE) -> Path:
    """A zip as stable-baselines3 writes it."""
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(facts))
        archive.writestr("policy.pth", buffer.getvalue())
    return path


def dqn(path: Path, network: nn.Module) -> Path:
    """A DQN of stable-baselines3 for CartPole; the target has other weights."""
    return sb3(path, named("q_net.q_net", network) | named("q_net_target.q_net", mlp(4, 64, 64, 2, seed=9)))


class Touch:
    """Unpickled, it makes a file: what a malicious agent could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))
