"""The clock of a run: environment steps, interactions and updates, on which everything periodic depends.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor

from composer.blueprint.schema import Blueprint
from composer.environments.base import Environment
from composer.interventions.clocks import ClockName, Lengths


@dataclass
class Clock:
    """Counts of one seed, without accumulators: a resumed run counts as one that was never stopped."""

    stride: int
    """Environment steps per interaction: action repeat times environment copies."""
    warmup: int
    """Interactions with random actions."""
    update_to_data: float
    """Updates per interaction from the first update on; may be fractional."""
    rollout: int = 1
    """Interactions of a rollout; its updates follow all at once."""
    untrained: int = 1
    """Interactions with actions of the policy until the first update; 0 makes it after the last random action."""
    first: int = 0
    """Updates made at once, at the interaction that makes the first one; 0: as many as at each other."""
    interactions: int = 0
    """Interactions so far: decisions of each environment copy."""
    held: int = 0
    """Updates that are due and held back, while a policy is assessed; of the seed that has made most."""

    @property
    def env_steps(self) -> int:
        """Environment steps so far: the x-axis of every curve."""
        return self.interactions * self.stride

    @property
    def updates(self) -> int:
        """Gradient updates due after the last interaction, without those that are held back."""
        return self.updates_after(self.interactions) - self.held

    def tick(self) -> int:
        """Count one interaction; returns the updates that are due after it."""
        self.interactions += 1
        return self.updates_after(self.interactions) - self.updates_after(self.interactions - 1)

    def due(self, every: int) -> bool:
        """Whether the last interaction reached or passed a multiple of ``every`` environment steps."""
        return self.interactions > 0 and self.env_steps // every > (self.env_steps - self.stride) // every

    def interactions_by(self, env_steps: int) -> int:
        """Interactions of a run of ``env_steps``."""
        return -(-env_steps // self.stride)

    def updates_by(self, env_steps: int) -> int:
        """Updates of a run of ``env_steps``."""
        return self.updates_after(self.interactions_by(env_steps))

    def env_step_of(self, update: int, env_steps: int) -> int | None:
        """Environment steps after which ``update`` updates are done; None if a run of ``env_steps`` makes fewer."""
        if update > self.updates_by(env_steps):
            return None
        paced = max(1, update - self.first + 1) if self.first else update
        interactions = self._without_updates + ceil(paced / self.update_to_data) if update else 0
        # The clock rounds products, this a quotient: they differ by one at most.
        while interactions and self.updates_after(interactions - 1) >= update:
            interactions -= 1
        while self.updates_after(interactions) < update:
            interactions += 1
        return interactions * self.stride

    def updates_after(self, interactions: int) -> int:
        """Updates due after this many interactions."""
        learned_from = interactions - interactions % self.rollout
        if self.rollout > 1:
            # Updates per rollout are whole, while updates per interaction may have no finite binary fraction.
            rollouts = learned_from // self.rollout - self._without_updates // self.rollout
            return max(0, rollouts) * round(self.update_to_data * self.rollout)
        paced = max(0, learned_from - self._without_updates)
        if self.first and paced:
            return self.first + floor((paced - 1) * self.update_to_data)
        return floor(paced * self.update_to_data)

    @property
    def _without_updates(self) -> int:
        """Interactions before the one that ends with the first update, or with a part of it."""
        return max(0, self.warmup + self.untrained - 1)


def clock_of(blueprint: Blueprint) -> Clock:
    """The clock of a run of ``blueprint``, before its first step."""
    schedule = blueprint.algorithm.update_schedule(blueprint.environment.info)
    environment, pace = blueprint.environment, (schedule.update_to_data, schedule.rollout)
    if environment.learns_from_data:
        return Clock(environment.stride, 0, *pace)
    waits = schedule.warmup_interactions, schedule.update_to_data, schedule.rollout, schedule.untrained, schedule.first
    return Clock(environment.stride, *waits)


def lengths_of(blueprint: Blueprint, interactions: int | None = None) -> Lengths:
    """The reading of every clock at the end of a run of ``blueprint``, or after a number of interactions."""
    clock, environment, batch = clock_of(blueprint), blueprint.environment, blueprint.algorithm.batch_size
    if interactions is None:
        interactions = clock.interactions_by(blueprint.training.env_steps)
    is_local = any(each.when.counted_since == "phase" for each in blueprint.interventions.values())
    stages = environment.stages(batch) if is_local else ()
    starts = [stage.start for stage in stages if stage.start < interactions]
    return Lengths(
        **_readings(clock, environment, batch, interactions),
        phase=environment.switches_by(interactions, batch),
        phase_per_seed=environment.stages_differ_by_seed,
        phase_starts=_columns(_readings(clock, environment, batch, start) for start in starts),
    )


def _readings(clock: Clock, environment: Environment, batch: int, interactions: int) -> dict[ClockName, int]:
    """The readings of clocks after a number of interactions."""
    return {
        "env": interactions * clock.stride,
        "interaction": interactions,
        "update": clock.updates_by(interactions * clock.stride),
        "epoch": environment.epochs_by(interactions, batch),
    }


def _columns(rows: Iterable[Mapping[ClockName, int]]) -> dict[ClockName, list[int]]:
    """By clock, its reading in each row."""
    found: dict[ClockName, list[int]] = {}
    for row in rows:
        for name, reading in row.items():
            found.setdefault(name, []).append(reading)
    return found
