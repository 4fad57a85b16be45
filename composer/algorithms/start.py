"""What a first blueprint of an algorithm says: its published settings, for the skeleton of ``composer new``.

Tests: tests/blueprint/inspect/test_skeleton.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

ADAM: Mapping[str, Any] = {"kind": "adam", "learning_rate": 3e-4}
TWIN_DELAYED: Mapping[str, Any] = {
    "batch_size": 256, "update_to_data": 1.0, "warmup_interactions": 5_000, "discount": 0.99,
    "policy_delay": 2, "exploration": {"std": 0.1}, "target_noise": {"std": 0.2, "clip": 0.5},
}  # fmt: skip
"""TD3's settings, of arXiv:1802.09477 and its code, which TD7 has too."""


class Start(NamedTuple):
    """Settings to begin with; a skeleton takes the rest from what the algorithm declares."""

    settings: Mapping[str, Any]
    """Keys of ``[algorithm]``, without the kind."""
    source: str = ""
    """Where they are from."""
    optimizers: Mapping[str, Mapping[str, Any]] = {}
    """By trained role; other roles have Adam with a learning rate of 3e-4."""
    momentum: object = 0.995
    """Of every average that the algorithm reads."""
    copies: Mapping[str, int] = {}
    """Copies of networks, where there are several."""
    environment: Mapping[str, Any] = {}
    """Keys of ``[environment]`` that suit it."""
    normalization: Mapping[str, Any] = {}
    """Keys of ``[normalization]``, beside those of observations."""
    replay: Mapping[str, Any] = {}
    """Keys of ``[replay]``, beside the capacity."""
    trunks: Mapping[str, Mapping[str, Any]] = {}
    """Trunks of networks that have one of their own, whatever the others have."""
    before: Mapping[str, Mapping[str, Any]] = {}
    """What networks begin with, before the trunk of all."""
    learns_from_labels: bool = False
    """Whether it learns from labelled data rather than in a simulator."""
