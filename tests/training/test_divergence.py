"""A run that has diverged ends: on values and parameters beyond their bounds, with the cause and the batch named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import tiny_dqn
import tiny_rollouts
import torch
from safetensors.torch import load_file
from tiny_runs import DRIFT, TINY, begin, finished, last_json, learner, result, rows
from typer.testing import CliRunner

from composer.blueprint import load
from composer.cli import app
from composer.tracking.console import Console
from composer.training.divergence import (
    Diverged,
    ensure_bounded_metrics,
    ensure_bounded_parameters,
    ensure_finite,
)
from composer.training.learner import Learner
from composer.training.loop import train
from composer.training.runs.checkpoint import Checkpoints

SHORT = (DRIFT, "training.env_steps=100", "evaluation.every=100", "checkpoint.every=10", "training.log_every=20")


def test_a_run_beyond_its_bound_ends_with_cause_and_batch(tmp_path: Path) -> None:
    arguments = [
        "train",
        str(TINY),
        *SHORT,
        "training.log_every=20",
        "training.divergence.metrics=1e-3",
    ]
    answer = CliRunner().invoke(app, [*arguments, "seeds=[3, 4]", "--runs", str(tmp_path), "--json"])
    (run,) = tmp_path.iterdir()
    said = last_json(answer.stdout)["message"]
    assert answer.exit_code == 5, said
    cause, _, batch = said.splitlines()[0].partition("; ")
    assert cause.startswith("actor/loss of seed 3 is ")
    assert cause.endswith("at environment step 60, beyond training.divergence.metrics = 0.001")
    data = (run / "diverged.safetensors").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert batch.startswith("the last batch (largest |reward| ") and batch.endswith(f"SHA-256 {digest[:16]}")
    kept = load_file(run / "diverged.safetensors")
    assert kept["observation"].shape == (2, 32, 3) and kept["reward"].abs().max() < 5
    (event,) = [row for row in rows(run) if row.get("name") == "diverged"]
    assert (event["reason"], event["batch"]) == (cause, digest)
    assert Checkpoints(run).steps() == [40, 50]


def test_parameters_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, session = begin(tmp_path, *SHORT, "seeds=[3, 4]", "training.divergence.metrics=0.0")
    learn = Learner.learn

    def spoilt(self: Learner, batches: object) -> None:
        learn(self, batches)  # type: ignore[arg-type]
        with torch.no_grad():
            self.tensors_of("critic")["head.linear.bias"][1] = -3e9

    monkeypatch.setattr(Learner, "learn", spoilt)
    said = r"largest entry of critic\.head\.linear\.bias of seed 4 is 3e\+09 at environment step 60, beyond"
    with pytest.raises(Diverged, match=said):
        train(session, Console(100, enabled=False))
    session.close()
    run.close()


@pytest.mark.parametrize("bound", [0.0, 1e12])
def test_generous_bounds_change_nothing(bound: float, tmp_path: Path) -> None:
    bounds = f"training.divergence={{ metrics = {bound}, parameters = {bound} }}"
    plain, _ = finished(tmp_path / "plain", *SHORT)
    bounded, _ = finished(tmp_path / "bounded", *SHORT, bounds)
    assert result(plain) == result(bounded)
    assert not (plain / "diverged.safetensors").exists()


class Agent:
    """A critic of two seeds."""

    seeds, networks, scalars = (5, 7), {"critic": None}, dict[str, None]()

    def __init__(self, named: dict[str, torch.Tensor]) -> None:
        self._named = named

    def parameters(self, role: str) -> dict[str, torch.Tensor]:
        return self._named


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.1e12, -1.1e12])
def test_what_is_beyond_a_bound(value: float) -> None:
    named = {"w": torch.tensor([[[1.0, 2.0]], [[3.0, value]]])}
    with pytest.raises(Diverged, match="critic/loss of seed 7 is"):
        ensure_bounded_metrics([{"critic/loss": 1.0}, {"critic/loss": value}], (5, 7), 1e12, 60)
    with pytest.raises(Diverged, match=r"critic\.w of seed 7 is"):
        ensure_bounded_parameters(Agent(named), 1e12, 60)
    if abs(value) < float("inf"):
        ensure_bounded_metrics([{"critic/loss": value}], (5,), 0.0, 60)
        ensure_bounded_parameters(Agent(named), 0.0, 60)
    else:
        with pytest.raises(Diverged, match=r"w of seed 7 holds a number that is not finite: -?(nan|inf) at"):
            ensure_finite(named, (5, 7))


def test_no_shipped_blueprint_is_near_the_bounds() -> None:
    """Fresh agents of every family: parameters far below the bound on them."""
    agents = [learner(), Learner(tiny_dqn.tiny().agent, "cpu", tiny_rollouts.EAGER)]
    agents.append(Learner(tiny_rollouts.tiny().agent, "cpu", tiny_rollouts.EAGER))
    bound = load(TINY).blueprint.training.divergence.parameters
    for agent in agents:
        ensure_bounded_parameters(agent, bound * 1e-6, 0)


def test_an_action_that_is_not_finite_names_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, session = begin(tmp_path, *SHORT)
    act = Learner.act
    monkeypatch.setattr(
        Learner,
        "act",
        lambda self, *each: act(self, *each) * (float("nan") if session.clock.interactions > 55 else 1.0),
    )
    with pytest.raises(Exception, match=r"(?s)leaves \[-1, 1\].*the last batch .* is in .*diverged\.safetensors"):
        train(session, Console(100, enabled=False))
    session.close()
    run.close()
    assert json.loads((run.path / "run.json").read_text())["name"] == "tiny"
