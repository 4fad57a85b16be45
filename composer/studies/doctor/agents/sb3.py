"""Agents of stable-baselines3: PPO, A2C, DQN, SAC, TD3 and DDPG with MlpPolicy or CnnPolicy.

Layouts: stable_baselines3/common/policies.py, common/torch_layers.py, dqn/policies.py, sac/policies.py, td3/policies.py
of version 2.9. Tests: tests/studies/doctor/test_agent_files.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from composer.spec.shape import Shape
from composer.studies import Refused
from composer.studies.doctor.agents.agent import Agent
from composer.studies.doctor.agents.networks import HIDDEN, TORCH, AgentNetwork, Layout, layers, orthogonal
from composer.studies.doctor.agents.saved import Saved

LIBRARY: Final = "stable-baselines3"
ACTIVATIONS: Final = {
    "ReLU": "relu", "Tanh": "tanh", "ELU": "elu", "GELU": "gelu", "SiLU": "silu", "Mish": "mish", "Sigmoid": "sigmoid",
}  # fmt: skip
"""Activations by their class in torch."""
KNOWN: Final = "PPO, A2C, DQN, SAC, TD3 and DDPG with MlpPolicy and CnnPolicy"


def agent(saved: Saved) -> Agent:
    """The agent of a zip. Raises Refused for layouts that are not known."""
    names = saved.tensors
    is_on_policy = "action_net.weight" in names
    layout = Layout(saved, _activation(saved, "Tanh" if is_on_policy else "ReLU"))
    shape, is_bytes = _observation(saved)
    if is_on_policy:
        return _on_policy(layout, shape, is_bytes)
    if any(name.startswith("q_net.q_net.") for name in names):
        return _dqn(layout, shape, is_bytes)
    if "actor.mu.weight" in names and any(name.startswith("actor.latent_pi.") for name in names):
        return _actor_critic(layout, shape, is_bytes, "SAC")
    if any(name.startswith("actor.mu.") for name in names) and "critic.qf0.0.weight" in names:
        return _actor_critic(layout, shape, is_bytes, "TD3" if "critic.qf1.0.weight" in names else "DDPG")
    raise Refused(f"{saved.path}: an unknown layout of {LIBRARY}; known are {KNOWN}; the file has {saved.found()}")


def _on_policy(layout: Layout, shape: Shape, is_bytes: bool) -> Agent:
    facts = layout.saved.facts
    is_orthogonal = _policy_arguments(facts).get("ortho_init", True) is not False
    layout.first = HIDDEN if is_orthogonal else TORCH
    if (log_std := layout.saved.tensors.get("log_std")) is not None and log_std.ndim != 1:
        raise Refused(
            f"{layout.saved.path}: log_std has shape {[*log_std.shape]}: exploration that depends on the state"
            " (use_sde) is not known"
        )
    is_discrete = log_std is None
    _ensure_one_choice(layout, is_discrete)
    networks = {}
    for role, tower, prefix, gain in (
        ("actor", "policy_net", "pi_", 0.01),
        ("critic", "value_net", "vf_", 1.0),
    ):
        own = f"{prefix}features_extractor"
        extractor = own if any(name.startswith(f"{own}.") for name in layout.saved.tensors) else "features_extractor"
        hidden = [*_extractor(layout, extractor), *layout.numbered(f"mlp_extractor.{tower}")]
        first = orthogonal(gain) if is_orthogonal else TORCH
        if role == "critic":
            head, out = {"kind": "scalar"}, {"head.linear": "value_net"}
        elif is_discrete:
            head, out = {"kind": "categorical_policy"}, {"head.linear": "action_net"}
        else:
            head, out = {"kind": "gaussian_policy"}, {"head.mean": "action_net"}
        outputs = layers(out) | ({} if is_discrete or role == "critic" else {"head.log_std": "log_std"})
        networks[role] = layout.network(
            hidden, head | first, outputs, shape, layout.tensor("action_net.bias").numel(), is_bytes=is_bytes
        )
    layout.ensure_complete(("features_extractor.", "pi_features_extractor.", "vf_features_extractor."))
    return _agent(layout, "PPO" if "clip_range" in facts else "A2C", shape, networks, is_discrete)


def _dqn(layout: Layout, shape: Shape, is_bytes: bool) -> Agent:
    *hidden, last = [*_extractor(layout, "q_net.features_extractor"), *layout.numbered("q_net.q_net")]
    actions = layout.tensor(f"{last}.weight").shape[0]
    outputs = layers({"head.linear": last})
    value = layout.network(hidden, {"kind": "discrete_value"} | TORCH, outputs, shape, actions, is_bytes=is_bytes)
    layout.ensure_complete(("q_net_target.",))
    return _agent(layout, "DQN", shape, {"value": value}, True)


def _actor_critic(layout: Layout, shape: Shape, is_bytes: bool, algorithm: str) -> Agent:
    tower = "actor.latent_pi" if algorithm == "SAC" else "actor.mu"
    hidden = [*_extractor(layout, "actor.features_extractor"), *layout.numbered(tower)]
    if algorithm == "SAC":
        head: dict[str, Any] = {
            "kind": "tanh_gaussian", "log_std_min": -20.0, "log_std_max": 2.0, "log_std_bound": "clip",
        }  # fmt: skip
        outputs = layers({"head.mean": "actor.mu", "head.log_std": "actor.log_std"})
        actions = layout.tensor("actor.mu.bias").numel()
    else:
        *hidden, last = hidden
        head, outputs = {"kind": "deterministic_tanh"}, layers({"head.linear": last})
        actions = layout.tensor(f"{last}.bias").numel()
    networks = {"actor": layout.network(hidden, head | TORCH, outputs, shape, actions, is_bytes=is_bytes)}
    features = shape
    if encoder := _extractor(layout, "critic.features_extractor"):
        networks["encoder"] = layout.network(encoder, {"kind": "features"}, {}, shape, actions, is_bytes=is_bytes)
        features = networks["encoder"].outline.output
    copies = [str(number) for number in range(64) if f"critic.qf{number}.0.weight" in layout.saved.tensors]
    *hidden, last = [name.replace("qf0", "qf{copy}") for name in layout.numbered("critic.qf0")]
    outputs, read = layers({"head.linear": last}), (math.prod(features) + actions,)
    networks["critic"] = layout.network(hidden, {"kind": "scalar"} | TORCH, outputs, read, actions, copies)
    layout.ensure_complete(("actor_target.", "critic_target."))
    return _agent(layout, algorithm, shape, networks, False)


def _agent(
    layout: Layout, algorithm: str, shape: Shape, networks: Mapping[str, AgentNetwork], is_discrete: bool
) -> Agent:
    steps = layout.saved.facts.get("num_timesteps")
    actions = next(iter(networks.values())).actions
    assumed = (
        "observations are taken as the policy reads them: statistics of a VecNormalize wrapper are a file of their own",
    )
    return Agent(
        LIBRARY, algorithm, shape, actions, networks, is_discrete, steps if isinstance(steps, int) else None,
        assumed=assumed,
    )  # fmt: skip


def _extractor(layout: Layout, prefix: str) -> list[str]:
    """Layers of a NatureCNN; none of an extractor that flattens."""
    return [*layout.numbered(f"{prefix}.cnn"), *layout.numbered(f"{prefix}.linear")]


def _policy_arguments(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    found = facts.get("policy_kwargs")
    return found if isinstance(found, dict) else {}


def _activation(saved: Saved, default: str) -> str:
    named = str(_policy_arguments(saved.facts).get("activation_fn", default)).rstrip("'>").rpartition(".")[2]
    if named not in ACTIVATIONS:
        raise Refused(f"{saved.path}: activation {named!r} is not known; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[named]


def _observation(saved: Saved) -> tuple[Shape, bool]:
    """The shape that the networks read, and whether its entries are bytes that are scaled to [0, 1]."""
    space = saved.facts.get("observation_space")
    kind = str(space.get(":type:", "")) if isinstance(space, dict) else ""
    if not isinstance(space, dict) or not ("box.Box" in kind or "discrete.Discrete" in kind):
        raise Refused(f"{saved.path}: its observations are {kind or 'not described'}; known are Box and Discrete")
    if "discrete.Discrete" in kind:
        return (int(space["n"]),), False
    shape = space.get("_shape")
    if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
        raise Refused(f"{saved.path}: its observation space has the shape {shape!r}")
    scaled = _policy_arguments(saved.facts).get("normalize_images", True) is not False
    is_bytes = space.get("dtype") == "uint8" and len(shape) == 3 and scaled
    has_pictures = any(".cnn." in name for name in saved.tensors)
    return (tuple(shape) if has_pictures else (math.prod(shape),)), is_bytes


def _ensure_one_choice(layout: Layout, is_discrete: bool) -> None:
    space = layout.saved.facts.get("action_space")
    kind = str(space.get(":type:", "")) if isinstance(space, dict) else ""
    if is_discrete and "discrete.Discrete" not in kind:
        raise Refused(f"{layout.saved.path}: its actions are {kind or 'not described'}; known are Box and Discrete")
