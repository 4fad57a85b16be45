"""Replay: a ring of transitions for every seed, sampled uniformly, with n-step windows made at sampling time.

A transition is one packed row of float32, so that a batch is one gather. Observations are raw: each update normalises
them with the statistics of that moment. Legend: S seeds, E environments of a seed, B batch, d observation, a action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Transitions(NamedTuple):
    """A sampled batch, raw."""

    observation: Tensor
    """``[S, B, d]``"""
    action: Tensor
    """``[S, B, a]``"""
    reward: Tensor
    """``[S, B]``, discounted over the window"""
    bootstrap: Tensor
    """``[S, B]``: discount to the window's length, 0 where the window ends in a termination"""
    next_observation: Tensor
    """``[S, B, d]``, at the end of the window"""


def row_size(observation: int, action: int) -> int:
    """Floats of one stored transition: two observations, an action, a reward, two flags."""
    return 2 * observation + action + 3


class Replay:
    """A ring of ``capacity`` transitions a seed. Rows of one environment lie E apart, in order of time."""

    def __init__(
        self, seeds: int, environments: int, capacity: int, observation: int, action: int, device: str = "cpu"
    ) -> None:
        """S × capacity rows, touched only as they arrive on a CPU. ``capacity`` is cut to a multiple of E."""
        self._environments = environments
        self.capacity = capacity // environments * environments
        self._splits = [observation, action, 1, 1, 1, observation]
        self._rows = torch.empty(seeds, self.capacity, row_size(observation, action), device=device)
        self._flat = self._rows.view(seeds * self.capacity, -1)
        self._offsets = (torch.arange(seeds, device=device) * self.capacity)[:, None]
        self.added = 0

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
        start = self.added % self.capacity
        self._rows[:, start : start + self._environments] = torch.cat(
            [observation, action, flags, final_observation], -1
        )
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
        """
        device = self._rows.device
        picks = torch.stack([torch.randint(self.size, (batch,), generator=g, device=g.device) for g in generators]).to(
            device
        )
        return self._windows(picks, n_step, discount, lengths)

    def newest(self, batch: int, n_step: int, discount: Tensor) -> Transitions:
        """The ``batch`` newest transitions a seed, the newest first; held ones come again where there are fewer."""
        back = torch.arange(batch, device=self._rows.device) % self.size
        picks = (self.added - 1 - back) % self.capacity
        return self._windows(picks.expand(self._rows.shape[0], -1), n_step, discount)

    def _windows(self, picks: Tensor, n_step: int, discount: Tensor, lengths: Tensor | None = None) -> Transitions:
        """Windows that start at the slots ``picks [S, B]``."""
        observation, action, reward, terminated, ended, final = self._gather(picks)
        bootstrap = discount[:, None] * (1 - terminated)
        factor = discount[:, None].expand_as(reward)
        order = (picks - self.added) % self.capacity if self.added > self.capacity else picks
        running = torch.ones_like(reward, dtype=torch.bool)
        for step in range(1, n_step):
            # A window goes on while its episode does and a later row of the same environment exists.
            running = running & (ended == 0) & ((order + step * self._environments) < self.size)
            if lengths is not None:
                running = running & (lengths > step)[:, None]
            _, _, later_reward, terminated, ended, later = self._gather(
                (picks + step * self._environments) % self.capacity
            )
            # Chosen and not multiplied by zero: rows that were never written may hold anything, NaN too.
            reward = torch.where(running, reward + factor * later_reward, reward)
            factor = factor * discount[:, None]
            bootstrap = torch.where(running, factor * (1 - terminated), bootstrap)
            final = torch.where(running[..., None], later, final)
        return Transitions(observation, action, reward, bootstrap, final)

    def _gather(self, slots: Tensor) -> tuple[Tensor, ...]:
        rows = self._flat.index_select(0, (slots + self._offsets).flatten()).view(*slots.shape, -1)
        observation, action, reward, terminated, ended, final = rows.split(self._splits, -1)
        return observation, action, reward.squeeze(-1), terminated.squeeze(-1), ended.squeeze(-1), final

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` in order of arrival, ``[stop - start, S, row]``, on the CPU, if still held."""
        if not self.added - self.size <= start <= stop <= self.added:
            raise ValueError(f"rows {start} to {stop} are not held: {self.added - self.size} to {self.added} are")
        slots = torch.arange(start, stop, device=self._rows.device) % self.capacity
        return self._rows[:, slots].transpose(0, 1).cpu().contiguous()

    def restore(self, start: int, rows: Tensor) -> None:
        """Put back ``rows [n, S, row]``, number ``start`` onwards in order of arrival; the last one is the newest."""
        slots = torch.arange(start, start + rows.shape[0]) % self.capacity
        self._rows[:, slots.to(self._rows.device)] = rows.transpose(0, 1).to(self._rows.device)
        self.added = start + rows.shape[0]
