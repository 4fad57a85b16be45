"""Kinds that other libraries have or call otherwise, and what stands for them here. Tests: tests/errors/."""

from __future__ import annotations

from collections.abc import Mapping

from composer.blueprint.checks.synonyms.case import folded
from composer.environments.suites.packages import package

_RAINBOW = 'write kind = "dqn"; extends = "atari/rainbow" has its settings'
_HEAD = 'write kind = "dqn" with the head { use = "%s" }'
ADVICE: Mapping[str, Mapping[str, str]] = {
    "algorithm": {
        "rainbow": _RAINBOW,
        "c51": _HEAD % "c51",
        "qrdqn": _HEAD % "qr_dqn",
        "qr_dqn": _HEAD % "qr_dqn",
        "iqn": _HEAD % "iqn",
        "ddqn": 'write kind = "dqn" and double = true',
        "double_dqn": 'write kind = "dqn" and double = true',
        "drq": 'write kind = "dqn"; extends = "atari/drq" has its settings',
        "simba": 'write kind = "sac" and trunks { use = "simba" }; extends = "dmc/sac_simba" has its settings',
        "a2c": 'write kind = "ppo" with epochs = 1 and minibatches = 1',
        "redq": 'write kind = "sac" with networks.critic.copies and update_to_data',
    },
    "environment": {
        "gym": 'write kind = "gymnasium"',
        "mujoco": 'write kind = "gymnasium" with an id such as "HalfCheetah-v5", or kind = "dm_control"',
        "classic_control": 'write kind = "gymnasium"',
        "dmc": 'write kind = "dm_control"',
        "dmcontrol": 'write kind = "dm_control"',
        "dm_control_suite": 'write kind = "dm_control"',
        "ale": 'write kind = "atari"',
        "cifar10": 'write kind = "task_sequence" with data of kind "cifar10"',
    },
    "optimizer": {
        "rms": 'write kind = "rmsprop"',
        "soap": "composer has none yet: kron, or muon, are the nearest",
        "lamb": "composer has none: write kind = \"adamw\"",
        "lion": "composer has none: write kind = \"adamw\"",
        "nadam": 'write kind = "adam"',
        "adamax": 'write kind = "adam"',
    },
    "observation_norm": {"running_mean_std": 'write kind = "rs_norm"', "vec_normalize": 'write kind = "rs_norm"'},
}  # fmt: skip
"""By family and name in snake case: what to write."""


def advice(family: str, name: str) -> str:
    """What to write in the place of a kind of another library; empty where nothing is known of it."""
    found = ADVICE.get(family, {}).get(folded(name), "")
    suite = package(name) if family == "environment" else None
    return found or (suite.advice() if suite else "")
