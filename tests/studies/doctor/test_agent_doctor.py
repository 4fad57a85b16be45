"""``composer doctor`` on a file of another library: figures by hand, figures of a composer network, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_agents import dqn, mlp
from tiny_runs import last_json
from torch import nn
from typer.testing import CliRunner

from composer.blueprint import load
from composer.cli import app
from composer.diagnostics import DeadUnits, Dormant, FeatureNorm, ParameterNorm, Rank
from composer.replay.transitions import Transitions
from composer.studies.doctor.agents import examine, observations
from composer.studies.doctor.agents.saved import read
from composer.studies.doctor.agents.sb3 import agent
from composer.studies.doctor.agents.view import AgentView
from composer.training.compile.capture import Choice
from composer.training.diagnose.view import LearnerView
from composer.training.learner import Learner

CARTPOLE = Path(__file__).parents[3] / "blueprints" / "classic" / "cartpole_dqn.toml"


def half_killed() -> nn.Sequential:
    """Two layers of 64 units; 32 of each are 0 on every observation."""
    network = mlp(4, 64, 64, 2)
    with torch.no_grad():
        for index in (0, 2):
            layer = network[index]
            assert isinstance(layer, nn.Linear) and layer.bias is not None
            layer.bias += 3.0  # So that no other unit is dead.
            layer.weight[:32] = 0
            layer.bias[:32] = -1
    return network


def asked(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["doctor", *arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    return last_json(done.stdout)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits of a few steps, episodes of a few decisions."""
    monkeypatch.setattr(examine, "STEPS", 20)
    monkeypatch.setattr(observations, "SAMPLES", 16)


@pytest.mark.usefixtures("short")
def test_an_agent_with_half_of_its_units_dead_is_told_so(tmp_path: Path) -> None:
    network, x = half_killed(), np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    np.savez(tmp_path / "seen.npz", observations=x)
    file = dqn(tmp_path / "agent.zip", network)
    table = asked(str(file), "--observations", str(tmp_path / "seen.npz"), "--branches", "5")

    weights = [value.detach().double().numpy() for value in network.parameters()]
    first = np.maximum(x @ weights[0].T + weights[1], 0)
    features = np.maximum(first @ weights[2].T + weights[3], 0)
    means = [np.abs(layer).mean(0) for layer in (first, features)]
    dormant = np.concatenate([mean / mean.mean() <= 0.1 for mean in means]).mean()
    dead = np.concatenate([(layer == 0).all(0) for layer in (first, features)]).mean()
    values = np.linalg.svd(features, compute_uv=False)
    srank = 1 + int((np.cumsum(values) / values.sum() < 0.99).sum())
    by_hand = {
        "dormant_ratio_0.1.v1": dormant,
        "dead_unit_ratio.v1": dead,
        "srank.v1": srank,
        "stable_rank.v1": (values**2).sum() / values[0] ** 2,
        "feature_norm.v1": np.linalg.norm(features, axis=1).mean(),
        "parameter_norm.v1": np.sqrt(sum((value**2).sum() for value in weights)),
    }
    assert dead == dormant == 0.5
    assert {name: table["proxies"][name]["now"][0] for name in by_hand} == pytest.approx(by_hand, rel=1e-5)
    assert "value.trunk.1: 32 of 64 units are dead, 0 on each of 16 observations" in table["notes"]
    assert table["agent"] == {"library": "stable-baselines3", "algorithm": "DQN"} and table["env_step"] == 5_000
    assert json.loads((tmp_path / "doctor-agent" / "doctor.json").read_text())["sentence"] == table["sentence"]
    assert (tmp_path / "doctor-agent" / "doctor.png").stat().st_size > 0


def test_figures_are_those_of_a_composer_network_of_the_same_weights(tmp_path: Path) -> None:
    width = 'networks.value.trunk=[{kind="linear",width=64},{kind="relu"},{kind="linear",width=64},{kind="relu"}]'
    blueprint = load(CARTPOLE, (width, "seeds=[0]", "~normalization")).blueprint
    learner, theirs = (
        Learner(blueprint.agent, "cpu", Choice(False, "")),
        agent(read(dqn(tmp_path / "a", half_killed()))),
    )
    x, action = torch.randn(16, 4), torch.eye(2)[torch.arange(16) % 2]
    with torch.no_grad():
        for path, value in theirs.networks["value"].parameters.items():
            learner.networks["value"].parameters[path].copy_(value[None])
    rest = torch.zeros(1, 16)
    batch = Transitions(x[None], action[None], rest, rest, x[None])
    views = AgentView(theirs, x, None), LearnerView(blueprint.agent, learner, batch)
    for kind in (Dormant, DeadUnits, Rank, FeatureNorm, ParameterNorm):
        one, other = (kind(roles=("value",)).read(view, {}) for view in views)
        assert one == other and one, kind


@pytest.mark.usefixtures("short")
def test_an_agent_plays_and_is_diagnosed_by_injection(tmp_path: Path) -> None:
    file = dqn(tmp_path / "agent.zip", half_killed())
    table = asked(str(file), "--environment", "CartPole-v1", "--branches", "5", "--out", str(tmp_path / "out"))
    assert table["where"] == ["value.trunk.2.*", "value.head.*"] and len(table["pairs"]) == 5
    gains = [pair["injected"] - pair["plain"] - pair["control"] for pair in table["pairs"]]
    assert table["gain"]["value"] == pytest.approx(np.mean(gains)) and table["verdict"] in table["sentence"]
    assert [line for line in table["notes"] if "16 observations" in line], "every fourth of 64 decisions"


def test_fresh_weights_leave_the_outputs_as_they_are(tmp_path: Path) -> None:
    theirs = agent(read(dqn(tmp_path / "a", half_killed())))
    view = AgentView(theirs, torch.randn(16, 4), None)
    paths = ("trunk.2.weight", "trunk.2.bias", "head.linear.weight", "head.linear.bias")
    (one, _), (other, _) = (view.injected("value", paths, number) for number in (0, 1))
    x = view.input("value")
    assert torch.equal(one(x), view.network("value")(x)) and torch.equal(one(x), other(x))
    new = "injections.0.new.trunk.0.weight"
    assert not torch.equal(one.parameters[new], other.parameters[new]), "each pair has fresh weights of its own"
    trained = {path for path, value in one.parameters.items() if value.requires_grad}
    assert trained == {"trunk.0.weight", "trunk.0.bias", *(path for path in one.parameters if ".new." in path)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --observations FILE (.npy or .npz) or --environment ID"),
        (("--at", "3"), "--at and --horizon are for run directories"),
        (("--environment", "Pendulum-v1"), "the actions of the agent are 2 choices, those of Pendulum-v1 1 numbers"),
        (("--environment", "NoSuch-v3"), "--environment NoSuch-v3"),
        (("--environment", "CartPole-v1", "--branches", "2"), "2 pairs of fits are too few"),
        (("--environment", "CartPole-v1", "--where", "value.hed.*"), "'value.hed.*' matches no parameter"),
        (("--environment", "CartPole-v1", "--where", "value.trunk.0.*"), "choose whole layers"),
    ],
)
def test_what_cannot_be_answered_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    file = dqn(tmp_path / "agent.zip", mlp(4, 8, 8, 2))
    done = CliRunner().invoke(app, ["doctor", str(file), *arguments, "--json"])
    assert done.exit_code == 2 and message in last_json(done.stdout)["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["agent.zip"]
