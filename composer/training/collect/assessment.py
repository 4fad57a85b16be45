"""Assess policies over whole episodes: which updates are held back, and which policy becomes the checkpoint.

Every seed decides for itself. The updates that one seed makes and another does not are made in the same call, and the
other rests: ``composer.training.resting``.
Source: TD7, arXiv:2306.02451, algorithm 2, and ``maybe_train_and_checkpoint`` of its released code.
Legend: S seeds. Tests: tests/training/test_assessment.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from composer.algorithms.policy_checkpoints import CHECKPOINT_RETURN, CHECKPOINTS, PolicyCheckpoints

if TYPE_CHECKING:
    from composer.environments.interface import Step

FAR: Final = 1e8
"""Beyond every return, as in the released code: before the first episode, and before the first checkpoint."""


class Assessment:
    """Counts of the running assessment of each seed, on the host, one environment a seed."""

    def __init__(self, declared: PolicyCheckpoints, seeds: int) -> None:
        """No episode has been played."""
        self._declared = declared
        counts = torch.zeros(seeds, dtype=torch.int64)
        self.done, self.due = counts.clone(), counts.clone()
        """Updates that each seed has made, and those that it is to make now, ``[S]``."""
        self._episodes, self._taken = counts.clone(), counts.clone()
        self._lowest = torch.full((seeds,), FAR, dtype=torch.float64)
        self._best = torch.full((seeds,), -FAR, dtype=torch.float64)
        self._is_late, self._is_random = (torch.zeros(seeds, dtype=torch.bool) for _ in range(2))

    @property
    def active(self) -> Tensor | None:
        """The seeds that make the next update, a mask ``[S]``; None where there is none to make."""
        waiting = self.done < self.due
        return waiting if bool(waiting.any()) else None

    def begin_after(self, updates: Tensor) -> None:
        """Begin with seeds that have made ``updates [S]``; the running episodes are not assessed."""
        for each in (self.done, self.due):
            each.copy_(updates)
        self._is_random.fill_(True)

    def acted_randomly(self) -> None:
        """An action of the running episodes was random: these say nothing about a policy."""
        self._is_random.fill_(True)

    def count(self, step: Step, updates: int) -> Tensor | None:
        """Count the episodes that ended in a step; ``updates`` are due by the clock.

        Returns the seeds whose policy becomes the checkpoint, a mask ``[S]``, or None.
        """
        ended = torch.from_numpy(step.terminated | step.truncated)
        if not ended.any():
            return None
        counted = ended & ~self._is_random
        self._is_random &= ~ended
        self._episodes += counted
        returns = torch.from_numpy(step.episode_return)
        self._lowest = torch.where(counted, torch.minimum(self._lowest, returns), self._lowest)
        is_worse = counted & (self._lowest < self._best)
        most = torch.where(self._is_late, self._declared.episodes, 1)
        passed = counted & ~is_worse & (self._episodes >= most)
        self._best = torch.where(passed, self._lowest, self._best)
        self._taken += passed
        decided = is_worse | passed
        self.due = torch.where(decided, updates, self.due)
        self._episodes.masked_fill_(decided, 0)
        self._lowest.masked_fill_(decided, FAR)
        return passed if bool(passed.any()) else None

    def advance(self, active: Tensor) -> None:
        """The seeds of the mask ``active [S]`` make their next update."""
        late = active & (self.done == self._declared.from_update) & ~self._is_late
        self._best = torch.where(late, self._best * self._declared.reset_weight, self._best)
        self._is_late |= late
        self.done += active

    def drain(self) -> list[dict[str, float]]:
        """Metrics since the last call, per seed."""
        rows = [
            {CHECKPOINTS: float(taken)} | ({CHECKPOINT_RETURN: float(best)} if best > -FAR else {})
            for taken, best in zip(self._taken, self._best, strict=True)
        ]
        self._taken.zero_()
        return rows

    def tensors(self) -> dict[str, Tensor]:
        """The state by name."""
        return {
            "done": self.done,
            "due": self.due,
            "episodes": self._episodes,
            "taken": self._taken,
            "lowest": self._lowest,
            "best": self._best,
            "is_late": self._is_late,
            "is_random": self._is_random,
        }

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Load what ``tensors`` gave."""
        for name, value in self.tensors().items():
            value.copy_(saved[name])
