"""A plug-in's algorithm with tensors of its own: commands know them, and a killed run resumes to the same bits."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from commands import COMMAND, KILLED_AFTER_ITS_FIRST_CHECKPOINT, answer, run

BOUNDED = """\
blueprint = 1
name = "bounded"
requires = ["composer-acme"]
seeds = [0, 3]
environment = { kind = "acme/slider", limit = 12 }
tracking = { kind = "none" }
algorithm = { kind = "acme/bounded_targets", target_actor = false, batch_size = 16, warmup_interactions = 20 }
training = { env_steps = 120, log_every = 40 }
evaluation = { every = 120, episodes = 1 }
checkpoint = { every = 50 }
compute = { compile = "never", threads = 1 }
replay = { capacity = 100 }
optimizers = { actor = { kind = "adam" }, critic = { kind = "adam" } }
averages = { target_critic = { of = "critic", momentum = 0.9 } }

[networks]
actor = { trunk = { kind = "linear", width = 8 }, head = { kind = "deterministic_tanh" } }
critic = { trunk = { kind = "linear", width = 8 }, head = { kind = "scalar" }, copies = 2 }
"""


@pytest.fixture
def bounded(tmp_path: Path) -> Path:
    """A blueprint whose algorithm is the plug-in's."""
    path = tmp_path / "bounded.toml"
    path.write_text(BOUNDED)
    return path


def tensors(run: str) -> str:
    """A program that prints the algorithm's own tensors in the newest checkpoint of a run."""
    return f"""
import json
from pathlib import Path
from composer.training.assemble import load_agent
found = load_agent(Path({run!r}))[1].tensors()
print(json.dumps({{name: value.tolist() for name, value in found.items() if name.startswith("algorithm/")}}))
"""


@pytest.mark.slow
def test_training_with_it_is_killed_and_ends_as_if_it_had_not_been(site: Path, bounded: Path, tmp_path: Path) -> None:
    """Alone trains with a plug-in's algorithm by the commands, kills the run and resumes it."""
    whole = answer("train", bounded, "--runs", tmp_path / "whole", site=site)
    killed = run(KILLED_AFTER_ITS_FIRST_CHECKPOINT, "train", bounded, "--runs", tmp_path / "killed", site=site)
    assert killed.returncode == -signal.SIGKILL
    (path,) = (tmp_path / "killed").iterdir()
    assert answer("resume", path, site=site)["status"] == "finished"
    digests = [answer("digest", each, site=site)["digest"] for each in (whole["run"], path)]
    assert digests[0] == digests[1]
    held = json.loads(run(tensors(str(path)), site=site).stdout)
    updates = whole["updates"]
    assert updates > 0 and held["algorithm/seen"] == [16 * updates] * 2
    assert all(low < high for low, high in zip(held["algorithm/lowest"], held["algorithm/highest"], strict=True))


def test_reading_commands_know_its_tensors(site: Path, bounded: Path) -> None:
    shown = run(COMMAND, "show", bounded, site=site)
    assert shown.returncode == 0, shown.stderr
    assert "lowest [] float32, highest [] float32, seen [] int64" in shown.stdout
    table = answer("show", bounded, site=site)
    assert table["algorithm_tensors"]["seen"] == {"shape": [], "dtype": "int64"}
    assert table["memory"]["algorithm_bytes"] == 2 * (4 + 4 + 8)
    bounded.write_text(BOUNDED.replace("target_critic =", "target_critik ="))
    refused = run(COMMAND, "check", bounded, site=site)
    assert "needs an average 'target_critic' of 'critic'; did you mean 'target_critic'?" in refused.stdout
