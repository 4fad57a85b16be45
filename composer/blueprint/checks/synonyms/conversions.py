"""From a value of another library to ours. None where it cannot be told; the message then names our key alone.

Steps: other libraries count decisions of all environment copies together (``total_timesteps``); an interaction here is
one decision of every copy, and an environment step one control step of the simulator, with action repeat. Sources:
stable-baselines3 2.9 (signatures, ``off_policy_algorithm.py``, ``dqn.py``), CleanRL (``dqn.py``), Dopamine
(``dqn.gin``, ``dqn_agent.py``). Tests: tests/errors/test_synonyms.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from composer.blueprint.checks.synonyms.case import Case, as_number, tidy
from composer.environments.suites.task_tables import game_of_id, task_table

Value = Callable[[Case], object]

LIBRARY_TRAIN_FREQUENCY = {"dqn": 4}
"""stable-baselines3's ``train_freq`` where it is not written: 4 for DQN, otherwise 1."""
_RELU = "relu"
_ACTIVATIONS = {_RELU, "tanh", "gelu", "silu", "mish", "sigmoid", "elu"}
_UPDATES_KEYS = ("update_period", "train_freq", "train_frequency")
_START_KEYS = ("learning_starts", "min_replay_history", "start_training", "start_timesteps", "start_steps")
_LENGTH_KEYS = ("total_timesteps", "max_timesteps", "max_steps", "num_frames")


def given(case: Case) -> object:
    """The same value; whole where ours is whole."""
    return case.given


def whole(case: Case) -> object:
    """The same number as an integer: ``1e6`` is 1,000,000."""
    return None if case.number is None else round(case.number)


def one_minus(case: Case) -> object:
    """What is kept, from what moves: ``tau = 0.005`` is ``momentum = 0.995``."""
    return None if case.number is None else _momentum(case, 1 - case.number)


def kept(case: Case) -> object:
    """Spinning Up's ``polyak`` is the share that is kept."""
    return None if case.number is None else _momentum(case, case.number)


def target_period(case: Case) -> object:
    """A target network that moves every N decisions (DQN) or updates (SAC, TD3)."""
    moved = case.number_beside("tau")
    return _momentum(case, 1 - (moved if moved is not None else 1.0 if case.kind == "dqn" else 0.005))


def _momentum(case: Case, keep: float) -> object:
    if not 0 <= keep <= 1:
        return None
    every = _target_updates(case)
    if every is None or every <= 1:
        return tidy(keep)
    at = {"value": 1.0, "at": tidy(keep)} if keep else {}
    return {"kind": "periodic", "every": every, **at}


def _target_updates(case: Case) -> int | None:
    """Updates between two moves of the target network."""
    names = ("target_update_interval", "target_network_frequency", "target_network_update_freq", "target_update_freq")
    counted = case.number_beside(*names, "target_update_period")
    if case.kind in ("ddpg", "td3"):
        delay = case.number_beside("policy_delay", "policy_frequency", "policy_freq")
        counted = delay if delay is not None else as_number(case.ours("algorithm", "policy_delay"))
    if counted is None or counted < 1:
        return None
    if case.kind != "dqn":
        return round(counted)
    ratio = _ratio(case)
    copies = 1 if case.beside("target_update_period") is not None else case.copies
    return None if ratio is None else max(round(counted * ratio / copies), 1)


def updates_to_data(case: Case) -> object:
    """Updates per interaction, from updates per train and interactions between two of them."""
    ratio = _asked_ratio(case)
    return None if ratio is None or not 0 < ratio <= 1024 else tidy(ratio)


def _ratio(case: Case) -> float | None:
    """Updates per interaction: by the other library's keys where they stand beside, or by ours."""
    asked = _asked_ratio(case)
    return asked if asked is not None else as_number(case.ours("algorithm", "update_to_data"))


def _asked_ratio(case: Case) -> float | None:
    steps, every = case.number_beside("gradient_steps"), case.beside(*_UPDATES_KEYS)
    if isinstance(every, list) and len(every) == 2 and every[1] == "step":
        every = every[0]
    if steps is None and every is None:
        return None
    between = as_number(every) if every is not None else LIBRARY_TRAIN_FREQUENCY.get(case.kind, 1)
    if not between or between < 0:
        return None
    # -1 is as many updates as transitions.
    return case.copies if steps == -1 else (1.0 if steps is None else steps) / between


def warmup(case: Case) -> object:
    """Interactions, from transitions of all copies."""
    return None if not case.number or case.number < 1 else math.ceil(case.number / case.copies)


def env_steps(case: Case) -> object:
    """Environment steps, from decisions of all copies."""
    return None if not case.number or case.number < 1 else round(case.number * case.action_repeat)


def dopamine_env_steps(case: Case) -> object:
    """Environment steps, from iterations of so many decisions."""
    iterations, steps = case.number_beside("num_iterations"), case.number_beside("training_steps")
    return None if not (iterations and steps) else round(iterations * steps * case.action_repeat)


def calls_to_env_steps(case: Case) -> object:
    """Environment steps, from calls of a vector of environments, as stable-baselines3's callbacks count."""
    return None if not case.number or case.number < 1 else round(case.number * case.action_repeat * case.copies)


def per_action(case: Case) -> object:
    """A target entropy divided by the action size; ``auto`` is minus one for each action."""
    if case.given == "auto":
        return -1.0
    return None if case.number is None or not case.info else tidy(case.number / case.info.action_size)


def temperature(case: Case) -> object:
    """The initial temperature: ``auto`` is 1, ``auto_0.1`` is 0.1."""
    if not isinstance(case.given, str):
        return case.number
    word, _, start = case.given.partition("_")
    return _float(start or "1.0") if word == "auto" else None


def schedule(case: Case) -> object:
    """A number, or the zoo's ``lin_3e-4``: down to 0 at the last update."""
    if not isinstance(case.given, str):
        return case.number
    word, _, start = case.given.partition("_")
    first, updates = _float(start), total_updates(case)
    if word != "lin" or first is None or updates is None:
        return None
    return {"kind": "linear", "start": first, "end": 0.0, "updates": updates}


def annealed(case: Case) -> object:
    """CleanRL's ``anneal_lr``: the learning rate falls to 0 at the last update."""
    optimizers = case.values.get("optimizers")
    declared = optimizers.get(case.role) if isinstance(optimizers, Mapping) else None
    written = declared.get("learning_rate") if isinstance(declared, Mapping) else None
    first = case.number_beside("learning_rate")
    first, updates = as_number(written) if first is None else first, total_updates(case)
    if case.given is not True or first is None or updates is None:
        return None
    return {"kind": "linear", "start": first, "end": 0.0, "updates": updates}


def total_updates(case: Case) -> int | None:
    """Gradient updates of the whole run."""
    interactions = _interactions(case)
    if interactions is None:
        return None
    if case.kind == "ppo":
        names = ("rollout_interactions", "epochs", "minibatches")
        rollout, epochs, minibatches = (as_number(case.ours("algorithm", name)) for name in names)
        found = interactions // rollout * epochs * minibatches if rollout and epochs and minibatches else 0
    else:
        found = (interactions - (_warmup(case) or 0)) * (_ratio(case) or 0)
    return round(found) if found >= 1 else None


def _interactions(case: Case) -> float | None:
    """The length of the run in interactions."""
    decisions = case.number_beside(*_LENGTH_KEYS)
    if decisions is not None:
        return decisions / case.copies
    steps = as_number(case.ours("training", "env_steps"))
    return None if steps is None else steps / case.stride


def _warmup(case: Case) -> float | None:
    asked = case.number_beside(*_START_KEYS)
    return asked / case.copies if asked is not None else as_number(case.ours("algorithm", "warmup_interactions"))


def exploration(case: Case) -> object:
    """Epsilon over updates, from a line over decisions that begins with the run: all before the first are random."""
    fraction = case.number_beside("exploration_fraction")
    first = case.number_beside("exploration_initial_eps", "start_e")
    last = case.number_beside("exploration_final_eps", "end_e")
    fraction, first, last = 0.1 if fraction is None else fraction, 1.0 if first is None else first, last
    last = 0.05 if last is None else last
    interactions, before, ratio = _interactions(case), _warmup(case), _ratio(case)
    if interactions is None or before is None or not ratio or not (0 <= first <= 1 and 0 <= last <= 1):
        return None
    end = fraction * interactions
    if end <= before:
        return tidy(last)
    start, updates = first + (last - first) * before / end, max(round((end - before) * ratio), 1)
    return {"kind": "linear", "start": tidy(start), "end": tidy(last), "updates": updates}


def dopamine_epsilon(case: Case) -> object:
    """Dopamine's line from 1 to ``epsilon_train``, which begins after the warm-up."""
    last, period = case.number_beside("epsilon_train"), case.number_beside("epsilon_decay_period")
    ratio = _ratio(case)
    last, period = 0.01 if last is None else last, 250_000 if period is None else period
    if not ratio or not 0 <= last <= 1 or period < 1:
        return None
    return {"kind": "linear", "start": 1.0, "end": tidy(last), "updates": max(round(period * ratio), 1)}


def trunk(case: Case) -> object:
    """Layers of these widths, each followed by the activation; of equal widths with ReLU, the part ``mlp``."""
    widths = _widths(case)
    activation = _activation(case.beside("activation_fn", "activation")) or ("tanh" if case.kind == "ppo" else _RELU)
    if not widths or not all(isinstance(each, int) and not isinstance(each, bool) for each in widths):
        return None
    if len(widths) > 16 or not all(1 <= each <= 65_536 for each in widths):
        return None
    if activation == _RELU and len(set(widths)) == 1:
        return {"use": "mlp", "width": widths[0], "depth": len(widths)}
    return [block for width in widths for block in ({"kind": "linear", "width": width}, {"kind": activation})]


def _widths(case: Case) -> list[Any] | None:
    found = case.beside("net_arch", "hidden_sizes", "hidden_dims", "hidden_layers")
    if isinstance(found, Mapping):
        keys = ("pi",) if case.role == "actor" else ("vf", "qf")
        found = next((found[key] for key in keys if key in found), None)
    return found if isinstance(found, list) else None


def _activation(value: object) -> str | None:
    """The block of a name such as ``nn.ReLU``."""
    name = value.rpartition(".")[2].casefold() if isinstance(value, str) else ""
    name = {"swish": "silu"}.get(name, name)
    return name if name in _ACTIVATIONS else None


def seeds(case: Case) -> object:
    """A list of one seed."""
    return [case.given] if isinstance(case.given, int) and not isinstance(case.given, bool) else None


def device(case: Case) -> object:
    """CleanRL's ``cuda``."""
    return {True: "auto", False: "cpu"}[case.given] if isinstance(case.given, bool) else None


def environment(case: Case) -> object:
    """An environment by the name of a task, a game or an id."""
    if not isinstance(case.given, str) or not case.given.isprintable():
        return None
    name = case.given
    if name in task_table("dm_control"):
        return {"kind": "dm_control", "task": name}
    if game := game_of_id(name):
        return {"kind": "atari", "game": game}
    return {"kind": "gymnasium", "id": name}


def name_beside(case: Case) -> object:
    """The name of the task, where it stands in the environment's own table."""
    return case.given if isinstance(case.given, str) else None


def value_clip(case: Case) -> object:
    """stable-baselines3's bound, or CleanRL's switch beside ``clip_coef``."""
    if case.given is True:
        beside = case.number_beside("clip_coef")
        return beside if beside is not None else as_number(case.ours("algorithm", "clip_ratio"))
    return None if isinstance(case.given, bool) else schedule(case)


def _float(text: str) -> float | None:
    try:
        return as_number(float(text))
    except ValueError:
        return None
