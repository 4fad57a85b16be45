"""Episodes of a policy, and those that a replay holds.

Legend: S seeds, E environments of a seed, T steps of an episode, d observation, a action.
Tests: tests/training/test_record.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from composer.spec.random_streams import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import Step, VectorEnvironment
    from composer.replay.ring import Ring
    from composer.training.learner import Learner

MOST_TOGETHER = 10
"""Environments of a seed that are played at once."""


class Episode(NamedTuple):
    """One episode, or a part of one, as composer sees it."""

    seed: int
    """The seed of the run whose agent has acted."""
    observation: NDArray[Any]
    """``[T + 1, ...]``"""
    action: NDArray[np.float32]
    """``[T, a]`` in [-1, 1], or one-hot"""
    reward: NDArray[np.float32]
    """``[T]``"""
    terminated: bool
    """Whether success or failure ended it; otherwise a time limit did, or it goes on elsewhere."""

    @property
    def total(self) -> float:
        """Its undiscounted return."""
        return float(self.reward.sum(dtype=np.float64))


@dataclass(frozen=True)
class Play:
    """How episodes are played."""

    episodes: int
    """Of each seed."""
    seed: int = 0
    """What the episodes and all noise follow from."""
    explore: bool = False
    """Whether the agent explores as in training; otherwise it acts as in evaluations."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on actions that are numbers, in units of [-1, 1]."""
    epsilon: float = 0.0
    """Share of actions that are uniformly random instead; 1 is a random policy."""


def streams(learner: Learner, play: Play) -> list[int]:
    """Seeds of the environments that are played at once, those of a seed of the run one after another."""
    width = min(play.episodes, MOST_TOGETHER)
    return [derive(seed, "recorded", play.seed, index) for seed in learner.seeds for index in range(width)]


def played(learner: Learner, environments: VectorEnvironment, play: Play) -> Iterator[Episode]:
    """``play.episodes`` of each seed, in ``environments`` of its ``streams``. Raises EnvironmentFailure.

    Each environment plays whole episodes, round after round, so that short ones are not taken more often.
    """
    shape = (len(learner.seeds), environments.n // len(learner.seeds))
    draw = np.random.default_rng(derive(0, "recorded", play.seed))
    for seed, generator in zip(learner.seeds, learner.policy.explorers, strict=True):
        generator.manual_seed(derive(seed, "recorded", play.seed))
    for first in range(0, play.episodes, shape[1]):
        running = np.tile(np.arange(first, first + shape[1]) < play.episodes, shape[0])
        learner.policy.begin_evaluation(derive(0, "recorded", play.seed, first) % 2**31)
        observation = environments.reset(episode=first // shape[1])
        rows: list[list[tuple[Any, ...]]] = [[] for _ in running]
        while running.any():
            action = _actions(learner, torch.from_numpy(observation).unflatten(0, shape), play, draw)
            before, step = observation.copy(), environments.step(action)
            for index in running.nonzero()[0].tolist():
                rows[index].append((before[index], action[index], step.reward[index]))
                if step.terminated[index] or step.truncated[index]:
                    yield _episode(learner.seeds[index // shape[1]], rows[index], step, index)
                    running[index] = False
            observation = step.observation


def _actions(learner: Learner, raw: Tensor, play: Play, draw: np.random.Generator) -> NDArray[np.float32]:
    """Actions ``[n, a]`` for raw observations ``[S, E, ...]``."""
    chosen = learner.act(raw.to(learner.device), explore=play.explore)
    if play.explore:
        chosen = learner.program.to_env_action(chosen)
    action: NDArray[np.float32] = chosen.flatten(0, 1).cpu().numpy()
    if play.noise:
        action = np.clip(action + draw.normal(0, play.noise, action.shape), -1, 1).astype(np.float32)
    if play.epsilon:
        random = learner.act_randomly(raw.shape[1]).flatten(0, 1).cpu().numpy()
        action = np.where(draw.random((len(action), 1)) < play.epsilon, random, action)
    return action


def _episode(seed: int, rows: list[tuple[Any, ...]], step: Step, index: int) -> Episode:
    observation, action, reward = (np.stack(column) for column in zip(*rows, strict=True))
    seen = np.concatenate([observation, step.final_observation[index : index + 1]])
    return Episode(seed, seen, action, reward, bool(step.terminated[index]))


def held(ring: Ring, learner: Learner, environments: int) -> Iterator[Episode]:
    """All transitions of a replay of ``environments`` per seed, in order, as episodes and parts of them."""
    for index, seed in enumerate(learner.seeds):
        for copy in range(environments):
            numbers = torch.arange(copy, ring.drawable, environments, device=ring.device)
            slots = ring.slots(numbers).expand(len(learner.seeds), -1)
            ends = ring.ended(slots)[index].nonzero()[:, 0].tolist()
            stops = [end + 1 for end in ends if end + 1 < len(numbers)] + [len(numbers)]
            for start, stop in zip([0, *stops[:-1]], stops, strict=True):
                if start < stop:
                    yield _held(ring, slots[:, start:stop], index, seed)


def _held(ring: Ring, slots: Tensor, index: int, seed: int) -> Episode:
    found = ring.windows(slots, 1, torch.ones(len(slots)))
    observation, action, reward, bootstrap, following = (each[index].cpu() for each in found)
    seen = torch.cat([observation, following[-1:]]).numpy()
    return Episode(seed, seen, action.numpy(), reward.numpy(), not bool(bootstrap[-1]))
