"""A ring of transitions for every seed. Windows of several steps are put together when they are drawn.

``vectors`` and ``frames`` store transitions, as rows of numbers and as pictures that share frames; ``storage`` decides
where. Slots are drawn and windows are made there, and ``sent`` copies them to the learner.
Legend: S seeds, E environments of a seed, B batch. Rows of one environment are E apart, in order of time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from composer.replay.storage import Storage
from composer.replay.transitions import Transitions


def randint(high: int, count: int, generators: Sequence[torch.Generator]) -> Tensor:
    """``count`` integers from 0 to ``high`` for each generator, ``[S, count]``, uniformly with replacement."""
    return torch.stack([torch.randint(high, (count,), generator=g, device=g.device) for g in generators])


class StoredTransitions:
    """The transitions at slots ``[S, B]``. Each part is read when it is first used."""

    def __init__(
        self, numbers: Callable[[], Tensor], observation: Callable[[], Tensor], following: Callable[[Tensor], Tensor]
    ) -> None:
        """Functions that read the parts; ``following`` gives next observations for given observations."""
        self._numbers, self._observation, self._following = numbers, observation, following

    @cached_property
    def numbers(self) -> Tensor:
        """Action, reward, and 1 or 0 for terminated and for ended (terminated or truncated), ``[S, B, a + 3]``."""
        return self._numbers()

    @cached_property
    def observation(self) -> Tensor:
        """``[S, B, ...]``."""
        return self._observation()

    @property
    def action(self) -> Tensor:
        """``[S, B, a]``."""
        return self.numbers[..., :-3]

    @property
    def next_observation(self) -> Tensor:
        """``[S, B, ...]``: the observation after the action."""
        return self._following(self.observation)


class Ring(ABC):
    """A ring of ``capacity`` transitions per seed."""

    stale = 0
    """Number of the oldest transitions of a full ring that can no longer be drawn."""

    def __init__(self, seeds: int, environments: int, capacity: int, storage: Storage) -> None:
        """``capacity`` is cut to a multiple of E."""
        self._seeds, self._environments, self._device = seeds, environments, storage.device
        self._storage = storage
        self.capacity = capacity // environments * environments
        self.added = 0

    @property
    def device(self) -> str:
        """The device of rows, of transitions that are added, and of windows."""
        return self._device

    @property
    def size(self) -> int:
        """Number of stored transitions per seed."""
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
        """Store one transition per environment, ``[S, E, ...]``; ``final_observation`` is the one after the action."""
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
        """Draw ``batch`` transitions per seed from ``generators[s]``, uniformly with replacement; ``discount [S]``.

        A window of ``n_step`` rewards ends early at the end of the episode and at the newest transition; its bootstrap
        then has the discount of its own length. ``lengths [S]``, at most ``n_step``, are windows that differ by seed.
        Returns tensors on the learner's device.
        """
        return Transitions(*self.sent(self.windows(self.indices(batch, generators), n_step, discount, lengths)))

    def sent(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """``tensors`` on the learner's device; not copied where they are there already."""
        return self._storage.sent(tensors)

    def indices(self, batch: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw slots ``[S, B]``, uniformly with replacement."""
        return self.slots(randint(self.drawable, batch, generators).to(self._device))

    @property
    def drawable(self) -> int:
        """Number of transitions of each seed that can be drawn."""
        return self.size - (self.stale if self.added >= self.capacity else 0)

    def slots(self, numbers: Tensor) -> Tensor:
        """The slots of ``numbers [S, B]``, from 0 to ``drawable``."""
        low = self.size - self.drawable
        return (self.added + low + numbers) % self.capacity if low else numbers

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The ``batch`` newest transitions per seed, the newest first; too few are repeated."""
        back = torch.arange(batch, device=self._device) % self.drawable
        indices = (self.added - 1 - back) % self.capacity
        return Transitions(*self.sent(self.windows(indices.expand(self._seeds, -1), n_step, discount)))

    def windows(self, indices: Tensor, n_step: int, discount: Tensor, lengths: Tensor | None = None) -> Transitions:
        """The windows that start at the slots ``indices [S, B]``, on the device of the rows.

        Rows on the host wait for a ``discount`` or ``lengths`` on a GPU; copies of these on the host avoid the wait.
        """
        discount, lengths = discount.to(self._device), None if lengths is None else lengths.to(self._device)
        first = self._read(indices)
        reward, terminated, ended = first.numbers[..., -3:].unbind(-1)
        bootstrap = discount[:, None] * (1 - terminated)
        factor, last = discount[:, None].expand_as(reward), indices
        order, running = self._order(indices), torch.ones_like(reward, dtype=torch.bool)
        for step in range(1, n_step):
            # A window continues while its episode does and the environment has a later row.
            running = running & (ended == 0) & ((order + step * self._environments) < self.size)
            if lengths is not None:
                running = running & (lengths > step)[:, None]
            slots = (indices + step * self._environments) % self.capacity
            later, terminated, ended = self._flags(slots).unbind(-1)
            # Select, never multiply by zero: rows that were never written may hold NaN.
            reward = torch.where(running, reward + factor * later, reward)
            factor = factor * discount[:, None]
            bootstrap = torch.where(running, factor * (1 - terminated), bootstrap)
            last = torch.where(running, slots, last)
        end = first if n_step == 1 else self._read(last)
        return Transitions(first.observation, first.action, reward, bootstrap, end.next_observation)

    def ended(self, indices: Tensor) -> Tensor:
        """1 where the transition at a slot is the last of its episode, else 0: ``[S, B]``."""
        return self._flags(indices)[..., 2]

    def rewards_held(self) -> tuple[Tensor, Tensor]:
        """Mean magnitude of the rewards that are stored, and 1 where a stored transition terminates, ``[S]`` each."""
        flags = self._flags(torch.arange(self.size, device=self._device).expand(self._seeds, -1))
        return flags[..., 0].abs().mean(1), flags[..., 1].amax(1)

    def begins(self) -> Tensor:
        """Whether the next transitions are the first of their episodes, ``[S, E]``."""
        if self.added == 0:
            return torch.ones(self._seeds, self._environments, dtype=torch.bool, device=self._device)
        newest = torch.arange(self.added - self._environments, self.added, device=self._device) % self.capacity
        return self.ended(newest.expand(self._seeds, -1)) > 0

    def future(self, indices: Tensor, steps: int) -> dict[str, Tensor]:
        """The transitions after the slots ``indices [S, B]``, by their names in ``Program.extras``.

        ``future/action [S, B, K, a]`` is the action of step k, from 0, the sampled one; ``future/observation [S, B, K,
        ...]`` is the observation after it, ``future/reward [S, B, K]`` its reward, ``future/terminated [S, B, K]`` 1
        where it terminates; ``future/alive [S, B, K]`` is 1 where step k is in the same episode.
        """
        stored_steps, alive = [], []
        order, running = self._order(indices), torch.ones(indices.shape, dtype=torch.bool, device=indices.device)
        last = indices
        for step in range(steps):
            running = running & ((order + step * self._environments) < self.size)
            last = torch.where(running, (indices + step * self._environments) % self.capacity, last)
            stored_steps.append(stored := self._read(last))
            alive.append(running.float())
            running = running & (stored.numbers[..., -1] == 0)
        named = {
            "action": [stored.action for stored in stored_steps],
            "observation": [stored.next_observation for stored in stored_steps],
            "reward": [stored.numbers[..., -3] for stored in stored_steps],
            "terminated": [stored.numbers[..., -2] for stored in stored_steps],
            "alive": alive,
        }
        return {f"future/{name}": torch.stack(values, 2) for name, values in named.items()}

    def stream(self, indices: Tensor, steps: int) -> tuple[Tensor, Tensor, StoredTransitions]:
        """The ``steps`` transitions from the slots ``indices [S, B]`` on, whatever episodes end among them.

        Their slots ``[S, B, K]``; whether each repeats the newest of its environment, because there are no more
        ``[S, B, K]``; and the transitions ``[S, B K, ...]``.
        """
        step = torch.arange(steps, device=indices.device)
        room = ((self.size - 1 - self._order(indices)) // self._environments)[..., None]
        slots = (indices[..., None] + torch.minimum(step, room) * self._environments) % self.capacity
        return slots, step > room, self._read(slots.flatten(1))

    def indices_before(self, length: int, batch: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw slots ``[S, B]`` that ``length - 1`` transitions of their environment follow; of all where none is."""
        behind = (length - 1) * self._environments
        count = self.drawable - behind if self.drawable > behind else self.drawable
        return (self.added - self.drawable + randint(count, batch, generators).to(self._device)) % self.capacity

    def clear(self) -> None:
        """Forget all transitions: the next one is the first."""
        self.added = 0

    def cut(self, stop: int) -> None:
        """End the episodes of the newest transitions before row ``stop``, in order of arrival, where these are held."""
        if stop >= self._environments and stop - self._environments >= self.added - self.size:
            self._end(self._held(stop - self._environments, stop))

    def tensors(self) -> dict[str, Tensor]:
        """The state beside the rows, by name."""
        return {}

    def load(self, saved: Mapping[str, Tensor]) -> None:  # noqa: B027 - rows of numbers have no more state
        """Load what ``tensors`` gave, after the rows."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` in order of arrival, ``[stop - start, S, row]``, on the CPU. Raises ValueError."""

    @abstractmethod
    def restore(self, start: int, rows: Tensor) -> None:
        """Load ``rows [n, S, row]``, which begin at row ``start`` in order of arrival; the last one is the newest."""

    @abstractmethod
    def _store(self, start: int, observation: Tensor, action: Tensor, flags: Tensor, final: Tensor) -> None:
        """Write E transitions from slot ``start`` on; ``flags [S, E, 3]`` are reward, terminated, ended."""

    @abstractmethod
    def _read(self, slots: Tensor) -> StoredTransitions:
        """The transitions at ``slots [S, B]``."""

    @abstractmethod
    def _end(self, slots: Tensor) -> None:
        """Mark the transitions at ``slots [n]`` as the last ones of their episodes, for every seed."""

    @abstractmethod
    def _flags(self, slots: Tensor) -> Tensor:
        """Reward, terminated, ended ``[S, B, 3]`` at ``slots [S, B]``, without reading observations."""

    def _order(self, slots: Tensor) -> Tensor:
        """Number of stored transitions that are older than those at ``slots``."""
        return (slots - self.added) % self.capacity if self.added > self.capacity else slots

    def _held(self, start: int, stop: int) -> Tensor:
        """Slots of the rows ``start`` to ``stop``. Raises ValueError where they are overwritten or not yet there."""
        if not self.added - self.size <= start <= stop <= self.added:
            raise ValueError(f"rows {start} to {stop} are not held: {self.added - self.size} to {self.added} are")
        return torch.arange(start, stop, device=self._device) % self.capacity
