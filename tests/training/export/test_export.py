"""An exported policy is the agent: on its own observations, in the environment's own units, without composer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import composer
from composer.cli import app
from composer.training import assemble
from composer.training.export.export import export
from composer.training.export.formats import FORMATS, ExportFailed, TorchFile

QUICK = ["tracking.kind=none", "compute.compile=never", "compute.threads=1", "evaluation.episodes=1"]
SHORT = ["training.env_steps=40", "evaluation.every=20", "checkpoint.every=40", "algorithm.warmup_interactions=10"]


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of DDPG on a task whose actions reach from -2 to 2, with normalised observations."""
    blueprint = composer.load("classic/pendulum_ddpg", ["seeds=[3, 5]", *QUICK, *SHORT])
    return composer.train(blueprint, tmp_path_factory.mktemp("runs")).path


@pytest.mark.parametrize("kind", FORMATS)
def test_the_file_is_the_agent_of_the_seed(kind: str, pendulum: Path, tmp_path: Path) -> None:
    card = export(pendulum, kind, None, 5, tmp_path)
    assert card["parity"]["difference"] <= FORMATS[kind].tolerance
    assert card["parity"]["observations"] == 1_000
    assert json.loads((tmp_path / "policy.json").read_text())["seed"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["policy.json", card["file"]])
    # By hand: normalised by the statistics of this seed, through its network, scaled to the environment's bounds.
    _, learner, _ = assemble.load_agent(pendulum, None, "cpu")
    raw = torch.linspace(-1, 1, 12).reshape(4, 3)
    seen = torch.zeros(2, 4, 3)
    seen[1] = raw
    assert learner.statistics is not None
    action = learner.built.networks["actor"](learner.statistics.normalise(seen))[1, 0]
    given = FORMATS[kind].load(tmp_path / card["file"])(raw)
    torch.testing.assert_close(given, 2 * action.detach(), rtol=1e-5, atol=1e-6)
    assert given.abs().max() > 1e-3


@pytest.mark.slow
def test_pictures_and_choices(tmp_path: Path) -> None:
    """Alone exports an agent of pictures and choices: eight seconds."""
    blueprint = composer.load(
        "atari/dqn", ["seeds=[0]", *QUICK, "training.env_steps=160", "evaluation.every=160", "checkpoint.every=160",
                      "algorithm.warmup_interactions=32", "replay.capacity=100", "environment.frame_limit=400"],
        variant="small",
    )  # fmt: skip
    run = composer.train(blueprint, tmp_path / "runs").path
    card = export(run, "torch", None, out=tmp_path / "out")
    assert card["inputs"] == {"observation": "<uint8 [n, 4, 84, 84]>"}
    assert card["output"] == "<int64 [n]>"
    assert card["parity"]["difference"] == 0


def test_a_file_that_is_not_the_agent_is_refused(
    pendulum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = TorchFile.load

    def wrong(self: TorchFile, path: Path) -> Any:
        call = loaded(self, path)
        return lambda observation: call(observation) + 1e-3

    monkeypatch.setattr(TorchFile, "load", wrong)
    with pytest.raises(ExportFailed, match=r"differs from the agent by 0\.00025 of the range .* nothing was written"):
        export(pendulum, "torch", None, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mistakes_have_answers(pendulum: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="no format 'onx'; did you mean 'onnx'"):
        export(pendulum, "onx")
    with pytest.raises(ExportFailed, match="the run has no seed 0; it has 3, 5"):
        export(pendulum, seed=0)
    done = CliRunner().invoke(app, ["export", str(pendulum), "--checkpoint", "newest"])
    assert (done.exit_code, "expected best, last or an environment step" in done.output) == (2, True)


PLAY = """
import json, sys
import gymnasium, numpy as np, onnxruntime

policy = onnxruntime.InferenceSession(sys.argv[1])
environment = gymnasium.make("Pendulum-v1")
observation, _ = environment.reset(seed=int(sys.argv[2]))
total, ended = 0.0, False
while not ended:
    (action,) = policy.run(None, {"observation": observation[None]})
    observation, reward, terminated, truncated, _ = environment.step(action[0])
    total, ended = total + float(reward), terminated or truncated
assert "torch" not in sys.modules and "composer" not in sys.modules
print(json.dumps(total))
"""


@pytest.mark.slow
def test_onnxruntime_plays_an_episode_without_torch(pendulum: Path, tmp_path: Path) -> None:
    """Alone plays an episode in a process that has neither torch nor composer, and compares its return."""
    export(pendulum, "onnx", None, 3, tmp_path)
    words = [sys.executable, "-c", PLAY, str(tmp_path / "policy.onnx"), "7"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import gymnasium

    _, learner, _ = assemble.load_agent(pendulum, None, "cpu")
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=7)
    total, ended = 0.0, False
    assert learner.statistics is not None
    while not ended:
        both = torch.from_numpy(np.stack([observation] * 2))[:, None]
        action = learner.built.networks["actor"](learner.statistics.normalise(both))[0, 0, 0]
        observation, reward, terminated, truncated, _ = environment.step(2 * action.detach().numpy())
        total, ended = total + float(reward), terminated or truncated
    assert json.loads(done.stdout) == pytest.approx(total, rel=1e-4)
