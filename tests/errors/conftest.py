"""A small sound blueprint, and the fixture that spoils it in one place."""

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


@pytest.fixture(scope="session")
def sound() -> str:
    """The text of the sound blueprint."""
    return SOUND


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes ``b.toml`` in the working directory: the sound blueprint, one text in it replaced, or one appended."""
    monkeypatch.chdir(tmp_path)

    def write(old: str, new: str) -> Path:
        assert old == "" or SOUND.count(old) == 1, f"{old!r} stands {SOUND.count(old)} times in the sound blueprint"
        Path("b.toml").write_text(SOUND.replace(old, new) if old else SOUND + new, encoding="utf-8")
        return Path("b.toml")

    return write
