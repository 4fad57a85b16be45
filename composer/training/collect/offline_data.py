"""A data set of transitions, loaded whole into a ring that all seeds of a run draw from.

A ring of one seed serves any number: each draws from it with its own generator.
Legend: N transitions, d observation, a action. Tests: tests/training/test_offline_data.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from composer.environments.labelled.datasets.base import DataUnusable
from composer.environments.offline.data import WHOLE
from composer.replay.frames import FrameRing
from composer.replay.vectors import VectorRing
from composer.spec.quantities import shape_text
from composer.spec.wording import listing
from composer.training.export.codecs import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo
    from composer.environments.native import NativeAction, NativeSpaces
    from composer.environments.offline.data import Arrays, Steps
    from composer.environments.offline.offline import Offline, Rewards
    from composer.replay.ring import Ring
    from composer.replay.storage import Storage

CHUNK = 65_536
"""Transitions that are copied at once."""
OVERSTEP = 1e-3
"""How far actions may lie outside of [-1, 1] by rounding."""


class Encoded(NamedTuple):
    """Transitions as a replay has them."""

    observation: Tensor
    """``[N, ...]``"""
    action: Tensor
    """``[N, a]``"""
    reward: Tensor
    """``[N]``, raw"""
    terminated: Tensor
    """``[N]``"""
    truncated: Tensor
    """``[N]``"""
    following: Tensor
    """``[N, ...]``"""


class LoadedData(NamedTuple):
    """A data set in memory."""

    ring: Ring
    """Of one seed and one environment; rewards are changed already."""
    factor: float
    """What rewards were multiplied by, after ``Rewards.offset`` was added."""


def load_data(declared: Offline, storage: Storage) -> LoadedData:
    """Read the data of a blueprint. Raises DataUnusable where files or their content do not fit."""
    found = encoded(declared.data.read(), declared.native_spaces(), declared.info, declared.data.actions == "unit")
    factor = reward_factor(found, declared.rewards)
    changed = found._replace(reward=(factor * (found.reward.double() + declared.rewards.offset)).float())
    return LoadedData(_ring(changed, declared.info, storage), factor)


def encoded(steps: Steps, spaces: NativeSpaces, info: EnvironmentInfo, is_unit: bool) -> Encoded:
    """Steps as transitions; with ``is_unit`` actions are composer's own. Raises DataUnusable.

    Without next observations, the last step of an episode that does not terminate is left out: what it leads to is not
    known. Its predecessor is then the last one, and truncated.
    """
    terminated, cut = (torch.from_numpy(np.array(each)) for each in (steps.terminated, steps.cut))
    if not len(terminated):
        raise DataUnusable("the data have no steps")
    cut = cut.clone()
    cut[-1] = True
    cut &= ~terminated
    observation = _observations(steps.observation, spaces, info)
    action = (_unit_actions if is_unit else _own_actions)(steps.action, spaces.action, info)
    reward = torch.from_numpy(np.array(steps.reward, np.float32))
    found = Encoded(observation, action, reward, terminated, cut, observation)
    found = (
        _completed(found)
        if steps.following is None
        else found._replace(following=_observations(steps.following, spaces, info))
    )
    for name, values in zip(Encoded._fields, found, strict=True):
        if values.is_floating_point() and not values.isfinite().all():
            at = (
                int((~values.isfinite()).flatten(1).any(1).nonzero()[0])
                if values.ndim > 1
                else int((~values.isfinite()).nonzero()[0])
            )
            raise DataUnusable(f"step {at:,} of the data has a number that is not finite as its {name}")
    return found


def _completed(found: Encoded) -> Encoded:
    """With the observation of the next step as next observation; steps without one are left out."""
    ends = found.terminated | found.truncated
    keep = ~found.truncated
    if not keep.any():
        raise DataUnusable("the data have no next observations, and no step is followed by another")
    # A termination is not bootstrapped: any observation stands in for the one after it.
    following = torch.cat([found.observation[1:], found.observation[-1:]])
    following[ends] = found.observation[ends]
    loses_next = torch.cat([~keep[1:], torch.zeros(1, dtype=torch.bool)]) & ~ends
    completed = found._replace(following=following, truncated=loses_next)
    return Encoded(*(values[keep] for values in completed))


def _observations(parts: Arrays, spaces: NativeSpaces, info: EnvironmentInfo) -> Tensor:
    """As an agent sees them, ``[N, ...]``."""
    arrays = {name: torch.from_numpy(np.array(values)) for name, values in parts.items()}
    known = {part.name: part for part in spaces.parts}
    if len(arrays) == len(known) == 1:
        arrays = dict(zip(known, arrays.values(), strict=True))
    if arrays.keys() != known.keys():
        whole = arrays.get(WHOLE)
        if len(arrays) == 1 and whole is not None and tuple(whole.shape[1:]) == tuple(info.observation):
            return whole if info.pictures else whole.float()  # As composer sees it.
        raise DataUnusable(f"observations of the data have the parts {listing(arrays)}, the task's {listing(known)}")
    for name, values in arrays.items():
        if tuple(values.shape[1:]) != tuple(known[name].shape):
            own, theirs = shape_text(known[name].shape), shape_text(tuple(values.shape[1:]))
            raise DataUnusable(f"{name!r} of the data has the shape {theirs}, that of the task {own}")
    seen: Tensor = Encoder(spaces, info.observation)(arrays if len(arrays) > 1 else next(iter(arrays.values())))
    return seen


def _own_actions(action: NDArray[Any], native: NativeAction, info: EnvironmentInfo) -> Tensor:
    """From the environment's own units to [-1, 1], or one-hot, ``[N, a]``."""
    if native.count:
        return _choices(action, native.start, info.action_size)
    values = np.asarray(action, np.float64).reshape(len(action), -1)
    _ensure_size(values.shape[1], info)
    if native.scale:
        values = (values - np.asarray(native.offset)) / np.asarray(native.scale)
    return _within(torch.from_numpy(values.astype(np.float32)))


def _unit_actions(action: NDArray[Any], native: NativeAction, info: EnvironmentInfo) -> Tensor:
    """Composer's own ``[N, a]``; choices may be indices."""
    if info.discrete and action.ndim == 1:
        return _choices(action, 0, info.action_size)
    values = np.array(action, np.float32).reshape(len(action), -1)
    _ensure_size(values.shape[1], info)
    return _within(torch.from_numpy(values))


def _choices(action: NDArray[Any], start: int, count: int) -> Tensor:
    indices = torch.from_numpy(np.asarray(action).reshape(len(action), -1).astype(np.int64)) - start
    if indices.shape[1] != 1 or int(indices.min()) < 0 or int(indices.max()) >= count:
        raise DataUnusable(f"the actions of the data are no choices from {start} to {start + count - 1}")
    return functional.one_hot(indices[:, 0], count).float()


def _ensure_size(size: int, info: EnvironmentInfo) -> None:
    if size != info.action_size:
        raise DataUnusable(f"actions of the data have {size} entries, those of the task {info.action_size}")


def _within(action: Tensor) -> Tensor:
    largest = float(action.abs().max())
    if largest > 1 + OVERSTEP:
        raise DataUnusable(
            f"actions of the data reach {largest:.4g} where the bounds of the task are 1: they have other units, see"
            " environment.data.actions"
        )
    return action.clamp(-1, 1)


def reward_factor(found: Encoded, declared: Rewards) -> float:
    """What rewards are multiplied by. Raises DataUnusable where all episodes have equal returns."""
    if declared.return_range is None:
        return declared.factor
    ends = (found.terminated | found.truncated).numpy().nonzero()[0] + 1
    sums = np.diff(np.concatenate([[0.0], np.cumsum(found.reward.double().numpy())[ends - 1]]))
    span = float(sums.max() - sums.min())
    if not span:
        raise DataUnusable("environment.rewards.return_range: all episodes of the data have the same return")
    return declared.factor * declared.return_range / span


def _ring(found: Encoded, info: EnvironmentInfo, storage: Storage) -> Ring:
    count = len(found.reward)
    if info.pictures:
        # Room for a stack more: a ring that is never full keeps all its frames.
        room = count + max(info.stacked_frames, 1) + 1
        frames = FrameRing(1, 1, room, info.observation, info.stacked_frames, info.action_size, storage)
        for row in zip(*found, strict=True):
            frames.add(*(value[None, None].to(frames.device) for value in row))
        return frames
    ring = VectorRing(1, 1, count, math.prod(info.observation), info.action_size, storage)
    for start in range(0, count, CHUNK):
        observation, action, reward, terminated, truncated, following = (each[start : start + CHUNK] for each in found)
        flags = torch.stack([reward, terminated.float(), (terminated | truncated).float()], -1)
        ring.restore(start, torch.cat([observation, action, flags, following], -1)[:, None])
    return ring


def observations(ring: Ring) -> Iterator[Tensor]:
    """All observations of a ring of one seed, in order and in pieces ``[1, n, ...]``."""
    for start in range(0, ring.size, CHUNK):
        slots = torch.arange(start, min(start + CHUNK, ring.size), device=ring.device)[None]
        yield ring.windows(slots, 1, torch.zeros(1)).observation


def rewards_and_ends(ring: Ring) -> tuple[Tensor, Tensor]:
    """All rewards of a ring of one seed, in order, and whether an episode ends there, ``[N]`` each."""
    slots = torch.arange(ring.size, device=ring.device)[None]
    return ring.windows(slots, 1, torch.zeros(1)).reward[0], ring.ended(slots)[0] > 0
