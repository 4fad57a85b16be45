"""The clock of a run: environment steps, interactions, updates. All that is periodic is a function of these."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor


@dataclass
class Clock:
    """Counts of one seed. They need no accumulators, so a resumed run stays in step with one that was never stopped."""

    stride: int
    """Environment steps an interaction takes: action repeat times environment copies."""
    warmup: int
    """Interactions before the first update."""
    update_to_data: float
    """Updates an interaction after the warm-up; may be fractional."""
    rollout: int = 1
    """Interactions collected before the updates that they owe are made, all at once."""
    interactions: int = 0
    """Decisions of every environment copy so far."""

    @property
    def env_steps(self) -> int:
        """Environment steps so far: the x-axis of every curve."""
        return self.interactions * self.stride

    @property
    def updates(self) -> int:
        """Gradient updates due up to and with the last interaction."""
        return self._updates_after(self.interactions)

    def tick(self) -> int:
        """Count one interaction; returns the updates that it owes."""
        before = self.updates
        self.interactions += 1
        return self.updates - before

    def due(self, every: int) -> bool:
        """Whether the last interaction reached or passed a multiple of ``every`` environment steps."""
        return self.interactions > 0 and self.env_steps // every > (self.env_steps - self.stride) // every

    def interactions_by(self, env_steps: int) -> int:
        """Interactions that a run of ``env_steps`` takes."""
        return -(-env_steps // self.stride)

    def updates_by(self, env_steps: int) -> int:
        """Updates that a run of ``env_steps`` makes."""
        return self._updates_after(self.interactions_by(env_steps))

    def _updates_after(self, interactions: int) -> int:
        learned_from = interactions - interactions % self.rollout
        if self.rollout > 1:
            # A whole number of updates a rollout: a fraction of one an interaction may have no end in binary digits.
            return learned_from // self.rollout * round(self.update_to_data * self.rollout)
        return floor(max(0, learned_from - self.warmup) * self.update_to_data)
