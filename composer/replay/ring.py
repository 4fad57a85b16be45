"""A ring of transitions for every seed: what is drawn, and windows of several steps made when they are drawn.

How a transition is stored is left to ``replay`` (rows of numbers) and ``frames`` (pictures that share frames), where
it lies to ``storage``: slots are drawn and windows made there, and ``sent`` brings what was made to the learner.
Legend: S seeds, E environments of a seed, B batch. Rows of one environment lie E apart, in order of time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from composer.replay.storage import Storage
from composer.replay.transitions import Transitions


class StoredTransitions(Protocol):
    """The transitions at some slots; what is not asked for need not be read."""

    @property
    def observation(self) -> Tensor:
        """``[S, B, ...]``."""

    @property
    def action(self) -> Tensor:
        """``[S, B, a]``."""

    @property
    def reward(self) -> Tensor:
        """``[S, B]``."""

    @property
    def terminated(self) -> Tensor:
        """``[S, B]``, 0 or 1."""

    @property
    def ended(self) -> Tensor:
        """``[S, B]``, 0 or 1: terminated or truncated."""

    @property
    def following(self) -> Tensor:
        """``[S, B, ...]``: what the action led to."""


class Ring(ABC):
    """A ring of ``capacity`` transitions a seed."""

    stale = 0
    """Of a full ring: the oldest transitions of all environments that can no longer be put together."""

    def __init__(self, seeds: int, environments: int, capacity: int, storage: Storage) -> None:
        """``capacity`` is cut to a multiple of E."""
        self._seeds, self._environments, self._device = seeds, environments, storage.device
        self._storage = storage
        self.capacity = capacity // environments * environments
        self.added = 0

    @property
    def device(self) -> str:
        """Where rows lie: transitions that are added should be there, and so are windows."""
        return self._device

    @property
    def size(self) -> int:
        """Transitions held, a seed."""
        return min(self.added, self.capacity)

    def add(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        final_observation: Tensor,
    ) -> None:
        """Store a transition of every environment, ``[S, E, ...]``; ``final_observation`` is what the action led to."""
        flags = torch.stack([reward, terminated.float(), (terminated | truncated).float()], -1)
        self._store(self.added % self.capacity, observation, action, flags, final_observation)
        self.added += self._environments

    def sample(
        self,
        batch: int,
        n_step: int,
        discount: Tensor,
        generators: Sequence[torch.Generator],
        lengths: Tensor | None = None,
    ) -> Transitions:
        """``batch`` transitions a seed, uniform with replacement, drawn from ``generators[s]``; ``discount [S]``.

        A window of ``n_step`` rewards ends early where the episode ends and at the newest transition, and is then
        bootstrapped over its own length. ``lengths [S]`` are those of the seeds where they differ, ``n_step`` at most.
        They come to the learner's device.
        """
        return Transitions(*self.sent(self.windows(self.indices(batch, generators), n_step, discount, lengths)))

    def sent(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """What was made of rows, on the learner's device; the very tensors where rows lie there."""
        return self._storage.sent(tensors)

    def indices(self, batch: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Slots ``[S, B]``, uniform with replacement."""
        low = self.stale if self.added >= self.capacity else 0
        drawn = torch.stack(
            [torch.randint(self.size - low, (batch,), generator=g, device=g.device) for g in generators]
        ).to(self._device)
        return (self.added + low + drawn) % self.capacity if low else drawn

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The ``batch`` newest transitions a seed, the newest first; held ones come again where there are fewer."""
        low = self.stale if self.added >= self.capacity else 0
        back = torch.arange(batch, device=self._device) % (self.size - low)
        indices = (self.added - 1 - back) % self.capacity
        return Transitions(*self.sent(self.windows(indices.expand(self._seeds, -1), n_step, discount)))

    def windows(self, indices: Tensor, n_step: int, discount: Tensor, lengths: Tensor | None = None) -> Transitions:
        """Windows that start at the slots ``picks [S, B]``, where rows lie.

        For a GPU's ``discount`` and ``lengths`` rows on the host wait; equal ones of the host spare them that.
        """
        discount, lengths = discount.to(self._device), None if lengths is None else lengths.to(self._device)
        first = self._look(indices)
        reward, ended = first.reward, first.ended
        bootstrap = discount[:, None] * (1 - first.terminated)
        factor, last = discount[:, None].expand_as(reward), indices
        order, running = self._order(indices), torch.ones_like(reward, dtype=torch.bool)
        for step in range(1, n_step):
            # A window goes on while its episode does and a later row of the same environment exists.
            running = running & (ended == 0) & ((order + step * self._environments) < self.size)
            if lengths is not None:
                running = running & (lengths > step)[:, None]
            slots = (indices + step * self._environments) % self.capacity
            later, terminated, ended = self._flags(slots).unbind(-1)
            # Chosen and not multiplied by zero: rows that were never written may hold anything, NaN too.
            reward = torch.where(running, reward + factor * later, reward)
            factor = factor * discount[:, None]
            bootstrap = torch.where(running, factor * (1 - terminated), bootstrap)
            last = torch.where(running, slots, last)
        following = first.following if n_step == 1 else self._look(last).following
        return Transitions(first.observation, first.action, reward, bootstrap, following)

    def ended(self, indices: Tensor) -> Tensor:
        """1 where the transition at a slot was its episode's last, terminated or truncated, else 0: ``[S, B]``."""
        return self._flags(indices)[..., 2]

    def future(self, indices: Tensor, steps: int) -> dict[str, Tensor]:
        """What came after the slots ``picks [S, B]``: names of ``Program.extras``.

        ``future/action [S, B, K, a]`` was taken at step k (from 0, the sampled one), ``future/observation [S, B, K,
        ...]`` is what it led to, and ``future/alive [S, B, K]`` is 1 where the step was taken in the same episode.
        """
        actions, observations, alive = [], [], []
        order, running = self._order(indices), torch.ones(indices.shape, dtype=torch.bool, device=indices.device)
        last = indices
        for step in range(steps):
            running = running & ((order + step * self._environments) < self.size)
            last = torch.where(running, (indices + step * self._environments) % self.capacity, last)
            look = self._look(last)
            actions.append(look.action)
            observations.append(look.following)
            alive.append(running.float())
            running = running & (look.ended == 0)
        named = {"action": actions, "observation": observations, "alive": alive}
        return {f"future/{name}": torch.stack(values, 2) for name, values in named.items()}

    def tensors(self) -> dict[str, Tensor]:
        """State beside the rows, by name."""
        return {}

    def load(self, saved: Mapping[str, Tensor]) -> None:  # noqa: B027 - rows of numbers have no more state
        """Put it back, after the rows."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` in order of arrival, ``[stop - start, S, row]``, on the CPU, if still held."""

    @abstractmethod
    def restore(self, start: int, rows: Tensor) -> None:
        """Put back ``rows [n, S, row]``, number ``start`` onwards in order of arrival; the last one is the newest."""

    @abstractmethod
    def _store(self, start: int, observation: Tensor, action: Tensor, flags: Tensor, final: Tensor) -> None:
        """Write E transitions from slot ``start`` on; ``flags [S, E, 3]``: reward, terminated, ended."""

    @abstractmethod
    def _look(self, slots: Tensor) -> StoredTransitions:
        """The transitions at ``slots [S, B]``."""

    @abstractmethod
    def _flags(self, slots: Tensor) -> Tensor:
        """Reward, terminated, ended ``[S, B, 3]`` at ``slots [S, B]``, without what else is stored there."""

    def _order(self, slots: Tensor) -> Tensor:
        """How many transitions that are held are older than those at ``slots``."""
        return (slots - self.added) % self.capacity if self.added > self.capacity else slots

    def _held(self, start: int, stop: int) -> Tensor:
        """Slots of the rows ``start`` to ``stop``; ValueError where they are not held."""
        if not self.added - self.size <= start <= stop <= self.added:
            raise ValueError(f"rows {start} to {stop} are not held: {self.added - self.size} to {self.added} are")
        return torch.arange(start, stop, device=self._device) % self.capacity
