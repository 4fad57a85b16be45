"""Agents of CleanRL: its dqn, dqn_atari, ppo, ppo_continuous_action, ppo_atari, sac, td3 and ddpg scripts.

A file holds weights alone: the script is known by the names of its layers. Layouts: cleanrl/dqn.py, dqn_atari.py,
ppo.py, ppo_atari.py, ppo_continuous_action.py, sac_continuous_action.py, td3_continuous_action.py,
ddpg_continuous_action.py. Tests: tests/studies/doctor/test_agent_files.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from composer.spec.shape import Shape
from composer.studies import Refused
from composer.studies.doctor.agents.agent import Agent
from composer.studies.doctor.agents.networks import HIDDEN, TORCH, AgentNetwork, Layout, layers, orthogonal
from composer.studies.doctor.agents.saved import Saved

LIBRARY: Final = "CleanRL"
KNOWN: Final = "dqn, dqn_atari, ppo, ppo_continuous_action, ppo_atari, sac, td3 and ddpg"


def agent(saved: Saved, observed: Shape) -> Agent:
    """The agent of a file for observations of the shape ``observed``. Raises Refused for layouts that are not known."""
    names = saved.tensors
    if "actor.fc_mean.weight" in names or "actor.fc_mu.weight" in names:
        return _actor_critic(saved)
    if "actor_mean.0.weight" in names or "actor.0.weight" in names:
        return _ppo(saved)
    first = names.get("network.0.weight")
    if first is not None and first.ndim == 4:
        return _from_pictures(saved, observed)
    if first is not None and first.ndim == 2:
        return _values(saved, (first.shape[1],), is_bytes=False)
    raise Refused(f"{saved.path}: an unknown layout of {LIBRARY}; known are {KNOWN}; the file has {saved.found()}")


def _values(saved: Saved, shape: Shape, is_bytes: bool) -> Agent:
    layout = Layout(saved, "relu")
    *hidden, last = layout.numbered("network")
    actions = layout.tensor(f"{last}.weight").shape[0]
    head, outputs = {"kind": "discrete_value"} | TORCH, layers({"head.linear": last})
    value = layout.network(hidden, head, outputs, shape, actions, is_bytes=is_bytes)
    layout.ensure_complete()
    return _agent("dqn_atari" if is_bytes else "dqn", shape, {"value": value}, True, "relu")


def _from_pictures(saved: Saved, observed: Shape) -> Agent:
    channels = saved.tensors["network.0.weight"].shape[1]
    if len(observed) != 3 or observed[0] != channels:
        raise Refused(
            f"{saved.path} reads pictures of {channels} channels; the observations have shape {[*observed]}, expected"
            f" [{channels}, height, width]"
        )
    if "actor.weight" not in saved.tensors:
        return _values(saved, observed, is_bytes=True)
    layout = Layout(saved, "relu", HIDDEN)
    hidden, actions = layout.numbered("network"), layout.tensor("actor.weight").shape[0]
    actor = layout.network(
        hidden, {"kind": "categorical_policy"} | orthogonal(0.01), layers({"head.linear": "actor"}), observed, actions,
        is_bytes=True,
    )  # fmt: skip
    critic = layout.network(
        hidden, {"kind": "scalar"} | orthogonal(1.0), layers({"head.linear": "critic"}), observed, actions,
        is_bytes=True,
    )  # fmt: skip
    layout.ensure_complete()
    return _agent("ppo_atari", observed, {"actor": actor, "critic": critic}, True, "relu")


def _ppo(saved: Saved) -> Agent:
    layout = Layout(saved, "tanh", HIDDEN)
    is_discrete = "actor.0.weight" in saved.tensors
    *hidden, last = layout.numbered("actor" if is_discrete else "actor_mean")
    shape, actions = (layout.tensor(f"{hidden[0]}.weight").shape[1],), layout.tensor(f"{last}.weight").shape[0]
    if is_discrete:
        head, outputs = {"kind": "categorical_policy"}, layers({"head.linear": last})
    else:
        head, outputs = {"kind": "gaussian_policy"}, layers({"head.mean": last}) | {"head.log_std": "actor_logstd"}
    actor = layout.network(hidden, head | orthogonal(0.01), outputs, shape, actions)
    *hidden, last = layout.numbered("critic")
    outputs = layers({"head.linear": last})
    critic = layout.network(hidden, {"kind": "scalar"} | orthogonal(1.0), outputs, shape, actions)
    layout.ensure_complete()
    networks = {"actor": actor, "critic": critic}
    if is_discrete:
        return _agent("ppo", shape, networks, True, "tanh")
    note = "the script normalises observations in a wrapper that is not saved: they are taken as the networks read them"
    return _agent("ppo_continuous_action", shape, networks, False, "tanh", (note,))


def _actor_critic(saved: Saved) -> Agent:
    layout = Layout(saved, "relu")
    is_sac = "actor.fc_mean.weight" in saved.tensors
    shape = (layout.tensor("actor.fc1.weight").shape[1],)
    if is_sac:
        head: dict[str, Any] = {"kind": "tanh_gaussian", "log_std_min": -5.0, "log_std_max": 2.0}
        outputs = layers({"head.mean": "actor.fc_mean", "head.log_std": "actor.fc_logstd"})
        actions = layout.tensor("actor.fc_mean.weight").shape[0]
    else:
        head, outputs = {"kind": "deterministic_tanh"}, layers({"head.linear": "actor.fc_mu"})
        actions = layout.tensor("actor.fc_mu.weight").shape[0]
    actor = layout.network(["actor.fc1", "actor.fc2"], head | TORCH, outputs, shape, actions)
    copies = [name for name in ("qf1", "qf2") if f"{name}.fc1.weight" in saved.tensors]
    if not copies:
        raise Refused(f"{saved.path} has an actor and no critic (qf1, qf2); it has {saved.found()}")
    critic = layout.network(
        ["{copy}.fc1", "{copy}.fc2"], {"kind": "scalar"} | TORCH, layers({"head.linear": "{copy}.fc3"}),
        (shape[0] + actions,), actions, copies,
    )  # fmt: skip
    layout.used |= {"actor.action_scale", "actor.action_bias"}
    layout.ensure_complete(("qf1_target.", "qf2_target.", "target_actor."))
    algorithm = "sac" if is_sac else "td3" if len(copies) == 2 else "ddpg"
    found = _agent(algorithm, shape, {"actor": actor, "critic": critic}, False, "relu")
    scale, bias = (saved.tensors.get(f"actor.action_{name}") for name in ("scale", "bias"))
    if scale is None or bias is None:
        raise Refused(
            f"{saved.path} has no actor.action_scale and actor.action_bias, the units of its critics' actions"
        )
    return replace(found, action_scale=scale.flatten(), action_bias=bias.flatten())


def _agent(
    algorithm: str,
    shape: Shape,
    networks: Mapping[str, AgentNetwork],
    is_discrete: bool,
    activation: str,
    assumed: tuple[str, ...] = (),
) -> Agent:
    actions = next(iter(networks.values())).actions
    note = f"the file names no activation: {activation}, as in CleanRL's {algorithm}.py"
    return Agent(LIBRARY, algorithm, shape, actions, networks, is_discrete, assumed=(note, *assumed))
