"""The shipped plug-in, installed once; and a blueprint that needs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from wheels import ACME, install

NEEDS_ACME = """\
blueprint = 1
name = "waves"
requires = ["composer-acme"]
seeds = [0]
environment = { kind = "dm_control", task = "cartpole-swingup", action_repeat = 8 }
tracking = { kind = "none" }
algorithm = { kind = "sac", batch_size = 16, discount = 0.99, warmup_interactions = 20 }
training = { env_steps = 400, log_every = 200 }
evaluation = { every = 400, episodes = 1 }
checkpoint = { every = 400 }
compute = { compile = "never", threads = 1 }
replay = { capacity = 100 }

[networks.actor]
trunk = { use = "acme/periodic_mlp", width = 16 }
head = { kind = "acme/softsign_gaussian" }

[networks.critic]
trunk = [{ kind = "acme/periodic", waves = 4 }, { kind = "linear", width = 16 }, { kind = "relu" }]
head = { kind = "scalar" }
copies = 2

[averages]
target_critic = { of = "critic", momentum = 0.99 }

[optimizers]
actor = { kind = "adam", learning_rate = 1e-3 }
critic = { kind = "adam", learning_rate = 1e-3 }
temperature = { kind = "adam", learning_rate = 1e-3 }
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed ``composer-acme``."""
    return install(ACME, tmp_path_factory.mktemp("acme"))


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """A blueprint that needs ``composer-acme``."""
    path = tmp_path / "waves.toml"
    path.write_text(NEEDS_ACME)
    return path
