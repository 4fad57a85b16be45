"""The observations on which an agent is examined: the user's own, or episodes that the agent plays itself.

Legend: B batch. Tests: tests/studies/doctor/test_agent_doctor.py.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from composer.environments.base import Simulator
from composer.environments.suites.atari import FULL_ACTIONS, Atari
from composer.environments.suites.gymnasium import Gymnasium
from composer.environments.suites.task_tables import game_of_id
from composer.spec.random_streams import derive
from composer.spec.shape import Shape
from composer.spec.wording import listing
from composer.studies import Refused
from composer.studies.doctor.agents.agent import Agent, explored
from composer.training.export.sources import Episodes

SAMPLES: Final = 512
"""Observations, where there are so many: the size of a run's own probe batch."""
APART: Final = 4
"""Decisions from one drawn observation to the next."""
NAMES: Final = ("observations", "actions")
"""Arrays of a ``.npz`` file; the second is optional."""


@dataclass(frozen=True)
class Observed:
    """Observations ``[B, ...]`` as networks read them, and the actions that a critic reads beside them, if given."""

    observation: Tensor
    action: Tensor | None
    origin: str


def shape_of(file: Path | None, environment: str | None) -> Shape:
    """The shape of one observation of the file, or of the environment. Raises Refused."""
    if (file is None) == (environment is None):
        raise Refused(
            "units and ranks are those of observations: give --observations FILE (.npy or .npz) or --environment ID,"
            " one of the two"
        )
    if file is not None:
        return tuple(_arrays(file)[NAMES[0]].shape[1:])
    return _simulator(str(environment)).info.observation


def read(file: Path, agent: Agent) -> Observed:
    """Observations of a file. Raises Refused where they do not fit the agent."""
    arrays = _arrays(file)
    rows = _as_read(file, arrays[NAMES[0]], agent)
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).astype(int))
    action = arrays.get(NAMES[1])
    if action is not None:
        action = action.reshape(len(action), -1)
        if action.shape != (len(rows), agent.actions):
            raise Refused(
                f"{file}: its actions have shape {[*action.shape]}, expected [{len(rows)}, {agent.actions}]: a row for"
                " each observation"
            )
        action = torch.from_numpy(action[chosen].astype(np.float32))
    return Observed(torch.from_numpy(rows[chosen]), action, str(file))


def play(environment: str, agent: Agent) -> Observed:
    """Observations of evaluation episodes, every fourth, under the agent's own policy. Raises Refused."""
    simulator = _simulator(environment, agent)
    if simulator.info.discrete != agent.is_discrete or simulator.info.action_size != agent.actions:
        kinds = [f"{size} {'choices' if is_discrete else 'numbers'}" for size, is_discrete in (
            (agent.actions, agent.is_discrete), (simulator.info.action_size, simulator.info.discrete))]  # fmt: skip
        raise Refused(f"the actions of the agent are {kinds[0]}, those of {environment} {kinds[1]}")
    episodes, (role, network) = Episodes(simulator, 0, 0), agent.acting()
    noise, units = torch.Generator().manual_seed(derive(0, "doctor", "actions")), episodes.spaces.action
    produces = agent.networks[role].declared.head.produces

    @torch.no_grad()
    def act(observation: Tensor) -> Tensor:
        seen = torch.from_numpy(_as_read(Path(environment), observation.numpy(), agent))
        action = explored(produces, network(seen[None]), noise)
        if produces == "gaussian" and units.scale is not None:  # In the environment's own units.
            low = torch.as_tensor(units.offset, dtype=torch.float32)
            action = (action - low) / torch.as_tensor(units.scale, dtype=torch.float32)
        return action.clamp(-1, 1) if not agent.is_discrete else action

    seen = episodes.record(act, SAMPLES * APART).seen[::APART].numpy()
    return Observed(torch.from_numpy(_as_read(Path(environment), seen, agent)), None, f"episodes of {environment}")


def _simulator(name: str, agent: Agent | None = None) -> Simulator:
    """The environment of a Gymnasium id; a game of Atari with the wrappers that both libraries put around it."""
    if game := game_of_id(name):
        return Atari(game=game, protocol="atari100k", full_actions=agent is not None and agent.actions == FULL_ACTIONS)
    module, _, own = name.rpartition(":")
    try:
        found = Gymnasium(id=own, module=module)
    except ValidationError as error:
        raise Refused(f"--environment {name}: {error.errors()[0]['msg']}") from error
    if problem := found.refusal():
        raise Refused(f"--environment {name}: {problem[1]}")
    found.discover()
    return found


def _arrays(file: Path) -> dict[str, Any]:
    try:
        loaded = np.load(file, allow_pickle=False)
        arrays = {NAMES[0]: loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Refused(f"{file} is no .npy or .npz file of numbers: {error}") from error
    if NAMES[0] not in arrays and len(arrays) == 1:
        arrays = {NAMES[0]: next(iter(arrays.values()))}
    if NAMES[0] not in arrays:
        raise Refused(f"{file} holds {listing(sorted(arrays))}; name the observations {NAMES[0]!r}")
    for name, values in arrays.items():
        if values.dtype.kind not in "fiub" or not values.ndim or len(values) < 2 or not np.isfinite(values).all():
            raise Refused(
                f"{file}: {name} has shape {[*values.shape]} and type {values.dtype}; expected two rows of numbers or"
                " more, all of them finite"
            )
    return arrays


def _as_read(origin: Path, rows: Any, agent: Agent) -> Any:
    """Rows as the networks read them, float32 ``[B, ...]``: flat, one-hot, or with channels first."""
    shape = agent.observation
    if len(shape) == 1 and rows.ndim == 1 and rows.dtype.kind in "iu" and rows.min() >= 0 and rows.max() < shape[0]:
        return np.eye(shape[0], dtype=np.float32)[rows]
    if len(shape) == 3 and rows.ndim == 4 and rows.shape[1:] != shape and np.moveaxis(rows, -1, 1).shape[1:] == shape:
        rows = np.moveaxis(rows, -1, 1)
    if len(shape) == 1:
        rows = rows.reshape(len(rows), -1)
    if rows.shape[1:] != shape:
        raise Refused(f"{origin}: observations of shape {[*rows.shape[1:]]}; the agent reads {[*shape]}")
    return np.ascontiguousarray(rows, dtype=np.float32)
