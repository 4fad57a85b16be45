"""Names of other libraries: every key that they lead to exists, and every converted value is right by a closed form."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from composer.blueprint.checks.spec_at import spec_at
from composer.blueprint.checks.synonyms.meaning import Meaning, meaning
from composer.blueprint.checks.synonyms.table import RL, SYNONYMS, Synonym
from composer.blueprint.load import loads
from composer.blueprint.schema import Blueprint
from composer.blueprint.syntax.nodes import read_path
from composer.spec import builtin_kinds
from composer.spec.package_files import blueprints_root

builtin_kinds.register()
FILES = {"sac": "quickstart", "ddpg": "classic/pendulum_ddpg", "td3": "classic/pendulum_td3"}
FILES |= {"dqn": "classic/cartpole_dqn", "ppo": "classic/cartpole_ppo", "pqn": "classic/cartpole_pqn"}
SAMPLES: Mapping[str, object] = {
    "name": "walker-walk", "env": "walker-walk", "n_steps": 3, "net_arch": [64, 64], "ent_coef": 0.2, "seed": 3,
    "exp_name": "mine", "cuda": True, "clip_range_vf": 0.2, "normalize_advantage": True, "double_dqn": True,
    "env_kwargs": {}, "anneal_lr": True, "frame_stack": 4, "learning_starts": 500, "n_critics": 2,
    "buffer_size": 20_000, "total_timesteps": 30_000, "gradient_steps": 2, "gamma": 0.97,
}  # fmt: skip
"""Values of first names; those of others are the number 0.1, or 10 where that is no whole number."""


def table(kind: str) -> dict[str, Any]:
    """A shipped blueprint of an algorithm."""
    return tomllib.loads((blueprints_root() / f"{FILES[kind]}.toml").read_text(encoding="utf-8")) | {"variants": {}}


def told(kind: str, at: str, keys: Mapping[str, object], **changed: Mapping[str, object]) -> Meaning:
    """What is said of the first of ``keys`` in the table ``at`` of a blueprint with ``changed`` tables."""
    values = table(kind)
    for name, inner in changed.items():
        values[name] = values[name] | inner
    path = read_path(at) or ()
    around = values
    for step in path:
        around = around[step]
    around |= keys
    found = meaning(values, path, next(iter(keys)))
    assert found is not None, keys
    return found


def mended(kind: str, found: Meaning, **changed: Mapping[str, object]) -> None:
    """The blueprint with what is said: it loads."""
    values = table(kind)
    for name, inner in changed.items():
        values[name] = values[name] | inner
    for key, value in found.settings:
        *around, last = read_path(key) or ()
        target: Any = values
        for step in around:
            target = target.setdefault(step, {})
        assert value is not None, f"{key} has no value"
        target[last] = value
    loads(values, "mended")


@pytest.mark.parametrize("synonym", SYNONYMS, ids=lambda each: each.names.split()[0])
def test_keys_exist_and_their_values_load(synonym: Synonym) -> None:
    first, *others = synonym.names.split()
    for kind in synonym.kinds or RL:
        values = table(kind)
        at = "optimizers.actor" if synonym.within == "optimizers" and kind not in ("dqn", "pqn") else synonym.within
        at = "optimizers.value" if at == "optimizers" else at
        for value in (SAMPLES.get(first, 0.1), 10):
            found = told(kind, at, {first: value})
            if all(setting.value is not None for setting in found.settings):
                break
        for setting in found.settings:
            *around, last = read_path(setting.key) or ()
            spec = spec_at(Blueprint, values, tuple(around))
            is_stack = last == "stack" and values["environment"]["kind"] == "gymnasium"
            assert is_stack or (spec and last in spec.model_fields) or around[:1] == ["environment"], setting
        for name in others:
            assert [key for key, _ in told(kind, at, {name: value}).settings] == [key for key, _ in found.settings]
        assert found.settings or found.why


STEP = {"environment": {"action_repeat": 2, "copies": 4}}
PERIODIC = {"kind": "periodic", "every": 50, "value": 1.0, "at": 0.99}
ATARI = {"kind": "atari", "game": "ms_pacman"}
CLOSED_FORMS: list[tuple[str, str, dict[str, object], dict[str, dict[str, object]], dict[str, object]]] = [
    ("sac", "algorithm", {"gamma": 0.98}, {}, {"algorithm.discount": 0.98}),
    ("sac", "algorithm", {"tau": 0.005}, {}, {"averages.target_critic.momentum": 0.995}),
    ("sac", "averages.target_critic", {"tau": 0.01}, {}, {"averages.target_critic.momentum": 0.99}),
    ("sac", "", {"polyak": 0.995}, {}, {"averages.target_critic.momentum": 0.995}),
    ("sac", "", {"tau": 0.01, "target_update_interval": 50}, {}, {"averages.target_critic.momentum": PERIODIC}),
    ("sac", "", {"target_update_interval": 50, "tau": 0.01}, {}, {"averages.target_critic.momentum": PERIODIC}),
    # The targets of TD3 move with its actor; those of DDPG with every update.
    ("td3", "algorithm", {"tau": 0.01}, {}, dict.fromkeys(
        ("averages.target_critic.momentum", "averages.target_actor.momentum"), PERIODIC | {"every": 2})),
    ("ddpg", "algorithm", {"tau": 0.01}, {}, {"averages.target_critic.momentum": 0.99}),
    # 1,000 decisions at one update in two of them; 8,000 decisions at one in four, as in blueprints/atari/dqn.toml.
    ("dqn", "algorithm", {"target_update_interval": 1_000}, {}, {
        "averages.target_value.momentum": {"kind": "periodic", "every": 500}}),
    ("dqn", "", {"target_update_period": 8_000, "update_period": 4}, {}, {
        "averages.target_value.momentum": {"kind": "periodic", "every": 2_000}}),
    # Steps of four copies, each held for two control steps: 1,000 decisions are 250 interactions and 2,000 steps.
    ("sac", "algorithm", {"learning_starts": 1_000}, STEP, {"algorithm.warmup_interactions": 250}),
    ("sac", "training", {"total_timesteps": 1e6}, STEP, {"training.env_steps": 2_000_000}),
    ("sac", "", {"eval_freq": 1_000}, STEP, {"evaluation.every": 8_000}),
    ("dqn", "", {"num_iterations": 200, "training_steps": 250_000}, {"environment": {"action_repeat": 4}}, {
        "training.env_steps": 200_000_000}),
    ("sac", "algorithm", {"gradient_steps": 2, "train_freq": 4}, {}, {"algorithm.update_to_data": 0.5}),
    ("sac", "algorithm", {"train_freq": 8}, {}, {"algorithm.update_to_data": 0.125}),
    ("sac", "algorithm", {"train_freq": [1, "episode"]}, {}, {"algorithm.update_to_data": None}),
    ("dqn", "algorithm", {"gradient_steps": 1}, {}, {"algorithm.update_to_data": 0.25}),
    ("dqn", "algorithm", {"train_frequency": 10}, {}, {"algorithm.update_to_data": 0.1}),
    # As many updates as transitions: of four copies, four an interaction.
    ("sac", "algorithm", {"gradient_steps": -1}, STEP, {"algorithm.update_to_data": 4}),
    ("sac", "algorithm", {"target_entropy": -3.0}, {"environment": {"task": "walker-walk"}}, {
        "algorithm.target_entropy_per_action": -0.5}),
    ("sac", "algorithm", {"target_entropy": "auto"}, {}, {"algorithm.target_entropy_per_action": -1.0}),
    ("sac", "algorithm", {"ent_coef": "auto_0.1"}, {}, {"algorithm.initial_temperature": 0.1}),
    ("ppo", "algorithm", {"ent_coef": 0.01}, {}, {"algorithm.entropy_bonus": 0.01}),
    ("ppo", "algorithm", {"clip_range": "lin_0.2"}, {}, {"algorithm.clip_ratio": {
        "kind": "linear", "start": 0.2, "end": 0.0, "updates": 102_400 // (128 * 8) * 4 * 4}}),
    ("ppo", "", {"clip_vloss": True, "clip_coef": 0.1}, {}, {"algorithm.value_clip": 0.1}),
    ("ppo", "", {"num-envs": 8}, {}, {"environment.copies": 8}),
    # Epsilon over 30,000 decisions falls in the first 10 %, 1,000 of them random: two thirds of the way are left.
    ("dqn", "", {"exploration_fraction": 0.1, "exploration_final_eps": 0.1}, {}, {"algorithm.epsilon": {
        "kind": "linear", "start": 0.7, "end": 0.1, "updates": 1_000}}),
    ("dqn", "", {"end_e": 0.05, "start_e": 1, "exploration_fraction": 0.5, "learning_starts": 0}, {}, {
        "algorithm.epsilon": {"kind": "linear", "start": 1, "end": 0.05, "updates": 7_500}}),
    ("dqn", "", {"exploration_fraction": 0.01}, {}, {"algorithm.epsilon": 0.05}),
    ("dqn", "", {"epsilon_train": 0.02, "update_period": 4}, {}, {"algorithm.epsilon": {
        "kind": "linear", "start": 1.0, "end": 0.02, "updates": 62_500}}),
    ("sac", "networks.actor", {"hidden_sizes": [256, 256]}, {}, {
        "networks.actor.trunk": {"use": "mlp", "width": 256, "depth": 2}}),
    ("td3", "", {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [4, 2]}, "activation_fn": "nn.Tanh"}}, {}, {
        "networks.critic.trunk": [{"kind": "linear", "width": 4}, {"kind": "tanh"}, {"kind": "linear", "width": 2},
                                  {"kind": "tanh"}],
        "networks.actor.trunk": [{"kind": "linear", "width": 8}, {"kind": "tanh"}]}),
    ("ppo", "networks.actor", {"net_arch": [8]}, {}, {
        "networks.actor.trunk": [{"kind": "linear", "width": 8}, {"kind": "tanh"}]}),
    ("sac", "", {"env": "walker-walk"}, {}, {"environment": {"kind": "dm_control", "task": "walker-walk"}}),
    ("dqn", "", {"env_id": "ALE/MsPacman-v5"}, {}, {"environment": ATARI}),
    ("dqn", "", {"env_id": "MsPacmanNoFrameskip-v4"}, {}, {"environment": ATARI}),
    ("dqn", "environment", {"env_id": "Acrobot-v1"}, {}, {"environment.id": "Acrobot-v1"}),
    ("sac", "environment", {"name": "walker-walk"}, {}, {"environment.task": "walker-walk"}),
    ("sac", "", {"lr": 1e-4}, {}, {
        f"optimizers.{role}.learning_rate": 1e-4 for role in ("actor", "temperature", "critic")}),
    ("sac", "optimizers.actor", {"lr": 1e-4}, {}, {"optimizers.actor.learning_rate": 1e-4}),
    ("sac", "", {"q_lr": 1e-3}, {}, {"optimizers.critic.learning_rate": 1e-3}),
    ("sac", "", {"anneal_lr": True, "learning_rate": 1e-3, "total_timesteps": 4_000}, {}, {
        f"optimizers.{role}.learning_rate": {"kind": "linear", "start": 1e-3, "end": 0.0, "updates": 3_000}
        for role in ("actor", "temperature", "critic")}),
    ("dqn", "replay", {"batch_size": 64}, {}, {"algorithm.batch_size": 64}),
    ("sac", "algorithm", {"env_steps": 64_000}, {}, {"training.env_steps": 64_000}),
    ("sac", "algorithm", {"seeds": [1]}, {}, {"seeds": [1]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "at", "keys", "changed", "expected"), CLOSED_FORMS)
def test_values_are_converted(
    kind: str, at: str, keys: dict[str, object], changed: dict[str, dict[str, object]], expected: dict[str, object]
) -> None:
    found = told(kind, at, keys, **changed)
    assert {setting.key: setting.value for setting in found.settings} == expected
    if None not in expected.values() and ATARI not in expected.values():
        mended(kind, found, **changed)


@pytest.mark.parametrize("value", ["x", None, True, [], {}, [[]], 1e300, -1, float("nan"), float("inf"), 2**80, "\n"])
def test_no_value_raises(value: object) -> None:
    for synonym in SYNONYMS:
        for kind in synonym.kinds or RL:
            values = table(kind) | {"algorithm": table(kind)["algorithm"] | {"gradient_steps": value}}
            name = synonym.names.split()[-1]
            values |= {name: value, "training": {"env_steps": value}, "n_envs": value}
            found = meaning(values, (), name)
            assert found is None or found.text(on_command_line=True).isprintable()


def test_nothing_is_said_of_keys_that_nobody_knows() -> None:
    values = table("sac") | {"gmma": 1}
    assert meaning(values, (), "gmma") is None
    assert meaning(values, ("absent",), "gamma") is None
    assert meaning([], (), "gamma") is None
