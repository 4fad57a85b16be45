"""A small sound blueprint that the tests of messages spoil in one place each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Writes the sound blueprint as ``b.toml`` in the working directory, one text in it replaced by another."""
    monkeypatch.chdir(tmp_path)

    def write(old: str, new: str) -> Path:
        assert SOUND.count(old) == 1 or old == "", f"{old!r} stands {SOUND.count(old)} times in the sound blueprint"
        Path("b.toml").write_text(SOUND.replace(old, new) if old else SOUND + new, encoding="utf-8")
        return Path("b.toml")

    return write
