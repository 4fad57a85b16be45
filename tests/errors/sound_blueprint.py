"""A small sound blueprint, spoilt by the tests of messages in one place each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SOUND = """\
blueprint = 1
name = "small"
seeds = [0, 1]

[values]
width = 8

[environment]
kind = "dm_control"
task = "pendulum-swingup"

[algorithm]
kind = "sac"
batch_size = 32
discount = 0.99

[networks.actor]
trunk = [{ kind = "linear", width = "${values.width}" }, { kind = "relu" }]
head = { kind = "tanh_gaussian" }

[networks.critic]
trunk = { use = "simba", width = 8, blocks = 1 }
head = { kind = "scalar" }
copies = 2

[averages.target_critic]
of = "critic"
momentum = 0.995

[optimizers]
actor = { kind = "adamw", learning_rate = 1e-4 }
critic = { kind = "adamw", learning_rate = 1e-4 }
temperature = { kind = "adam", learning_rate = 1e-4 }

[replay]
capacity = 1_000

[training]
env_steps = 1_000
"""

Spoil = Callable[[str, str], Path]
"""Writes the sound blueprint with one text replaced by another; appends where the first is empty."""
