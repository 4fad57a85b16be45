"""TD3 with scaled rewards through the whole loop: resumed to the bit, killed, and stacked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from tiny_deterministic import SIMBA, TINY_TD3, begin, finished
from tiny_runs import ALONE, COMMAND, dies, result, resumed, stopped

from composer.training.session import Session

EVENTFUL = (
    *("seeds=[0, 5]", "environment.copies=2", "training.env_steps=280", "checkpoint.every=80", "evaluation.every=120"),
    *("replay.capacity=140", "algorithm.n_step=2", "algorithm.update_to_data=0.6", "algorithm.policy_delay=3"),
    'diagnostics={ every = 100, batch = 8, measures = [{ kind = "gradient_norm" }, { kind = "policy_churn" }] }',
)
"""Two seeds of two environments, windows of two rewards, fractional updates, steps that are out of step."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    """A run from its first step to its last, and what it was made of."""
    return finished(tmp_path_factory.mktemp("whole"), *EVENTFUL)


@pytest.fixture(scope="module")
def whole(undisturbed: tuple[Path, Session]) -> tuple[str, bytes]:
    """What a run leaves that nothing has disturbed."""
    return result(undisturbed[0])


@pytest.mark.parametrize("at", [6, 102, 106, 190])
def test_stopped_and_resumed_is_as_if_never_stopped(at: int, whole: tuple[str, bytes], tmp_path: Path) -> None:
    """In warm-up, and after updates of different phase of the delay; the sums of episodes in progress go on."""
    run = stopped(*begin(tmp_path, *EVENTFUL), at=at)
    assert result(resumed(run)) == whole


@pytest.mark.parametrize("name", ["returns", "mean", "variance", "weight", "largest"])
def test_every_statistic_of_rewards_is_state(name: str, undisturbed: tuple[Path, Session]) -> None:
    _, parts = undisturbed
    saved = parts.snapshot().tensors[f"normalization/reward/{name}"]
    assert saved.dtype == torch.float64 and saved.shape[0] == 2
    assert not torch.equal(saved[0], saved[1]) or name == "weight"


@pytest.mark.parametrize("options", [(), SIMBA], ids=["td3", "ddpg"])
def test_seeds_in_one_program_are_the_same_as_alone(options: tuple[str, ...], tmp_path: Path) -> None:
    short = [*options, "environment.copies=2", "training.env_steps=200"]
    _, together = finished(tmp_path, *short, "seeds=[0, 1, 2]")
    for index, seed in enumerate([0, 1, 2]):
        _, alone = finished(tmp_path, *short, f"seeds=[{seed}]")
        ours = together.learner.tensors()
        for name, value in alone.learner.tensors().items():
            got, expected = (ours[name][:, index], value[:, 0]) if name == "signals" else (ours[name][index], value[0])
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
        assert together.returns[index] == pytest.approx(alone.returns[0], rel=1e-3)


@pytest.mark.slow
def test_a_killed_run_ends_as_if_never_killed(tmp_path: Path) -> None:
    """Death at a moment of chance, on a real simulator; then ``composer resume``."""
    longer = ['environment={ kind="gymnasium", id="Pendulum-v1" }', "training.env_steps=900", "checkpoint.every=150"]
    longer += ["evaluation.every=300", "replay.capacity=400", "algorithm.warmup_interactions=100"]
    run, _ = finished(tmp_path / "whole", *longer)
    seconds = 0.6
    while not dies(seconds, "train", str(TINY_TD3), *longer, "--runs", str(tmp_path / "killed")):
        shutil.rmtree(tmp_path / "killed")  # This machine is faster: once more, with a shorter life.
        seconds /= 2
    (killed,) = (tmp_path / "killed").iterdir()
    subprocess.run([*COMMAND, "resume", str(killed)], env=ALONE, capture_output=True, check=True)
    assert result(killed) == result(run)
