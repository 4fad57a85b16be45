"""Files of stable-baselines3 and CleanRL: the same outputs as their networks, and what is refused."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_agents import CARTPOLE, Touch, dqn, mlp, named, sb3
from torch import Tensor, nn
from typer.testing import CliRunner

from composer.cli import app
from composer.studies import Refused
from composer.studies.doctor.agents import cleanrl
from composer.studies.doctor.agents import sb3 as stable_baselines3
from composer.studies.doctor.agents.agent import Agent
from composer.studies.doctor.agents.saved import read

BOX = {":type:": "<class 'gymnasium.spaces.box.Box'>", "dtype": "float32"}
PICTURES = {**BOX, "dtype": "uint8", "_shape": [4, 84, 84]}


def nature(outputs: int) -> nn.Sequential:
    """CleanRL's network of Atari."""
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), *([nn.Linear(512, outputs)] if outputs else []),
    )  # fmt: skip


def three(prefix: str, last: str, *sizes: int, seed: int = 0) -> tuple[dict[str, Tensor], nn.Sequential]:
    """CleanRL's networks of continuous actions: ``fc1``, ``fc2`` and the last layer."""
    network = mlp(*sizes, seed=seed)
    names = {"0": "fc1", "2": "fc2", "4": last}
    tensors = {f"{names[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in network.state_dict().items()}
    return {f"{prefix}{name}": value for name, value in tensors.items()}, network


def output(agent: Agent, role: str, x: Tensor) -> Tensor:
    """Of the first copy, ``[B, ...]``."""
    found = agent.networks[role].stacked()(x[None])
    return (found[0] if isinstance(found, tuple) else found)[0, 0].detach()


def ours(path: Path, saved: Any, observed: tuple[int, ...] = (3,)) -> Agent:
    torch.save(saved, path)
    return cleanrl.agent(read(path), observed)


def test_values_and_policies_of_cleanrl_are_those_of_its_networks(tmp_path: Path) -> None:
    path, x, pixels = tmp_path / "x.cleanrl_model", torch.randn(5, 3), torch.randint(0, 256, (2, 4, 84, 84)).float()
    value = mlp(3, 120, 84, 2)
    agent = ours(path, named("network", value))
    assert (agent.algorithm, agent.is_discrete) == ("dqn", True)
    torch.testing.assert_close(output(agent, "value", x), value(x).detach())
    body, actor, critic = nature(0), nn.Linear(512, 6), nn.Linear(512, 1)
    agent = ours(path, named("network", nature(6)), (4, 84, 84))
    assert (agent.algorithm, agent.actions) == ("dqn_atari", 6)
    agent = ours(path, named("network", body) | named("actor", actor) | named("critic", critic), (4, 84, 84))
    assert agent.algorithm == "ppo_atari"
    torch.testing.assert_close(output(agent, "critic", pixels), critic(body(pixels / 255))[:, 0].detach())
    policy, state = (mlp(3, 64, 64, n, activation=nn.Tanh, seed=n) for n in (2, 1))
    agent = ours(path, named("actor", policy) | named("critic", state))
    assert (agent.algorithm, agent.reads_actions) == ("ppo", False)
    torch.testing.assert_close(output(agent, "actor", x), policy(x).detach())
    agent = ours(path, named("actor_mean", policy) | named("critic", state) | {"actor_logstd": torch.zeros(1, 2)})
    assert (agent.algorithm, agent.is_discrete) == ("ppo_continuous_action", False)


@pytest.mark.parametrize(("algorithm", "last"), [("sac", "fc_mean"), ("td3", "fc_mu"), ("ddpg", "fc_mu")])
def test_critics_of_cleanrl_read_actions_in_the_units_of_the_environment(
    algorithm: str, last: str, tmp_path: Path
) -> None:
    tensors, policy = three("", last, 3, 16, 16, 2)
    tensors |= {"action_scale": torch.tensor([2.0, 3.0]), "action_bias": torch.tensor([0.5, 0.0])}
    if algorithm == "sac":
        tensors |= named("fc_logstd", nn.Linear(16, 2))
    critics = [three("", "fc3", 5, 16, 16, 1, seed=seed) for seed in (1, 2)[: 1 if algorithm == "ddpg" else 2]]
    agent, x = ours(tmp_path / "x", (tensors, *(each for each, _ in critics))), torch.randn(5, 3)
    assert agent.algorithm == algorithm and agent.networks["critic"].declared.copies == len(critics)
    action = policy(x).tanh() * torch.tensor([2.0, 3.0]) + torch.tensor([0.5, 0.0])
    read_by_critic = agent.inputs(x)["critic"]
    torch.testing.assert_close(read_by_critic, torch.cat([x, action], 1)[None].detach())
    values = agent.networks["critic"].stacked()(read_by_critic)[0].detach()
    for copy, (_, critic) in enumerate(critics):
        torch.testing.assert_close(values[copy], critic(torch.cat([x, action], 1))[:, 0].detach())


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["MlpPolicy", "CnnPolicy"])
@pytest.mark.parametrize("name", ["PPO", "A2C", "DQN", "SAC", "TD3", "DDPG"])
def test_networks_are_those_of_stable_baselines3(name: str, policy: str, tmp_path: Path) -> None:
    """Alone holds the layouts to the library itself, which takes seconds to import and builds twelve agents."""
    library, gym = pytest.importorskip("stable_baselines3"), pytest.importorskip("gymnasium")
    is_discrete, pixels = name in ("PPO", "A2C", "DQN"), policy == "CnnPolicy"

    class World(gym.Env):  # type: ignore[misc, name-defined]
        observation_space = gym.spaces.Box(0, 255, (4, 36, 36), np.uint8) if pixels else gym.spaces.Box(-1, 1, (3,))
        action_space = gym.spaces.Discrete(3) if is_discrete else gym.spaces.Box(-2, 2, (2,))

    small = {} if name in ("PPO", "A2C") else {"buffer_size": 1}
    model = getattr(library, name)(policy, World(), seed=0, **small)
    model.save(tmp_path / "x.zip")
    agent = stable_baselines3.agent(read(tmp_path / "x.zip"))
    assert (agent.algorithm, agent.is_discrete) == (name, is_discrete)
    x = torch.randint(0, 256, (2, 4, 36, 36)).float() if pixels else torch.randn(2, 3)
    theirs, inputs = model.policy, agent.inputs(x)
    with torch.no_grad():
        if name == "DQN":
            expected, found = theirs.q_net(x), output(agent, "value", x)
        elif is_discrete:
            expected, found = theirs.predict_values(x)[:, 0], output(agent, "critic", x)
            logits = theirs.get_distribution(x).distribution.logits
            torch.testing.assert_close(output(agent, "actor", x).log_softmax(-1), logits)
        else:
            action = theirs._predict(x, deterministic=True)
            expected = torch.stack(theirs.critic(x, action))[..., 0]
            found = agent.networks["critic"].stacked()(inputs["critic"])[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_no_object_is_unpickled(tmp_path: Path) -> None:
    touched, file = tmp_path / "touched", tmp_path / "agent"
    for malicious in (Touch(touched), {"network.0.weight": torch.zeros(2, 3), "x": Touch(touched)}):
        torch.save(malicious, file)
        for path in (file, sb3(tmp_path / "agent.zip", malicious)):
            with pytest.raises(Refused, match=r"Python objects .* not loaded; save the state dict alone"):
                read(path)
    file.write_bytes(pickle.dumps(Touch(touched)))
    with pytest.raises(Refused, match="agent"):
        read(file)
    hidden = base64.b64encode(pickle.dumps(Touch(touched))).decode()
    facts = CARTPOLE | {"policy_class": {":type:": "x", ":serialized:": hidden}}
    read(sb3(tmp_path / "agent.zip", named("q_net.q_net", mlp(4, 8, 2)), facts))
    np.save(tmp_path / "x.npy", np.array([Touch(touched)] * 3, dtype=object), allow_pickle=True)
    done = CliRunner().invoke(
        app, ["doctor", str(dqn(tmp_path / "a.zip", mlp(4, 8, 2))), "--observations", str(tmp_path / "x.npy")]
    )
    assert done.exit_code == 2 and "is no .npy or .npz file of numbers" in done.stderr
    assert not touched.exists()


def test_what_is_not_known_is_refused_with_what_was_found(tmp_path: Path) -> None:
    path, weights = tmp_path / "agent.zip", named("q_net.q_net", mlp(4, 8, 2))
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ({"lstm.weight": torch.zeros(2)}, {}, r"unknown layout of stable-baselines3; known are PPO.* has lstm\.weight"),
        (weights | {"extra.weight": torch.zeros(2)}, {}, r"no layer is known for extra\.weight"),
        (weights, {"observation_space": {":type:": "gymnasium.spaces.dict.Dict"}}, "known are Box and Discrete"),
        (
            weights,
            {"observation_space": {**BOX, "_shape": [7]}},
            r"q_net\.q_net\.0\.weight has shape \[8, 4\], expected",
        ),
        (weights, {"policy_kwargs": {"activation_fn": "<class 'torch.nn.x.Hardswish'>"}}, "'Hardswish' is not known"),
        ({name: value * torch.nan for name, value in weights.items()}, {}, "not finite: the agent has diverged"),
    ]
    for tensors, facts, message in cases:
        with pytest.raises(Refused, match=message):
            stable_baselines3.agent(read(sb3(path, tensors, CARTPOLE | facts)))
    theirs = tmp_path / "x.cleanrl_model"
    for tensors, message in (
        (
            {"model.0.weight": torch.zeros(2, 2)},
            r"unknown layout of CleanRL; known are dqn.* has model\.0\.weight \[2, 2\]",
        ),
        (
            named("network", nn.Sequential(nn.Conv2d(4, 8, 5), nn.Linear(8, 2))),
            "neither a dense layer nor a convolution",
        ),
        ({"step": 3}, "'step' is int: expected a tensor or a state dict"),
    ):
        with pytest.raises(Refused, match=message):
            ours(theirs, tensors, (4, 36, 36))
    theirs.write_bytes(b"no agent")
    with pytest.raises(Refused, match=r"x\.cleanrl_model"):
        read(theirs)
