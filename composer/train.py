"""The loop: interactions as a generator, and what watches it. One page; everything else is called from here.

Legend: S seeds, E environments of a seed, d observation, a action.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from composer.interrupts import Interrupted, Interrupts
from composer.learner import Diverged
from composer.state import Parts
from composer.tracking.console import Console


@dataclass(frozen=True)
class Outcome:
    """How a finished run went."""

    returns: list[list[float]]
    """Undiscounted returns of the last evaluation, by seed and episode."""
    env_steps: int
    updates: int
    seconds: float
    updates_per_second: float
    """Updates of every seed's program call a second, over the time spent learning (environment steps included)."""


def train(parts: Parts, console: Console) -> Outcome:
    """Run to the end, from wherever ``parts`` stands. Raises Interrupted (saved), Diverged, EnvironmentFailure."""
    blueprint, clock = parts.blueprint, parts.clock
    started, paused, updates_before = time.monotonic(), 0.0, clock.updates
    with Interrupts() as interrupts:
        for _ in interactions(parts):
            last = clock.env_steps >= blueprint.training.env_steps
            asked = interrupts.requested  # Read once: a signal that comes after the save is obeyed after the next one.
            pause = time.monotonic()
            if last or clock.due(blueprint.training.log_every):
                _log(parts)
            if last or clock.due(blueprint.evaluation.every):
                _evaluate(parts, console)
            if last or asked or clock.due(blueprint.checkpoint.every):
                parts.save()
            paused += time.monotonic() - pause
            console.update(clock.env_steps, clock.updates)
            if asked and not last:
                raise Interrupted(asked)
    seconds = time.monotonic() - started
    made = clock.updates - updates_before
    return Outcome(parts.returns, clock.env_steps, clock.updates, seconds, made / max(seconds - paused, 1e-9))


def interactions(parts: Parts) -> Iterator[None]:
    """Act, step, store, learn; yields after each interaction, when the state is whole and may be saved."""
    blueprint, learner, clock = parts.blueprint, parts.learner, parts.clock
    shape, device = parts.shape, parts.device
    while clock.env_steps < blueprint.training.env_steps:
        observation = torch.from_numpy(parts.observation).to(device).unflatten(0, shape)
        if clock.interactions:  # The first observation of all is never counted, as in SimBa's published code.
            learner.observe(observation)
        warming = clock.interactions < blueprint.algorithm.warmup_interactions
        action = learner.act_randomly(shape[1]) if warming else learner.act(observation)
        step = parts.environments.step(action.flatten(0, 1).cpu().numpy())
        moved = (step.reward, step.terminated, step.truncated, step.final_observation)
        parts.replay.add(
            observation, action, *(torch.from_numpy(part).to(device).unflatten(0, shape) for part in moved)
        )
        parts.observation = step.observation
        parts.episodes.count(step)
        done = clock.updates
        for update in range(done + 1, done + clock.tick() + 1):
            batch = parts.replay.sample(
                blueprint.algorithm.batch_size, learner.n_step, learner.discount, learner.replay_generators
            )
            learner.update(batch)
            parts.surgery.passed("update", update - 1, update)
        parts.surgery.passed("interaction", clock.interactions - 1, clock.interactions)
        parts.surgery.passed("env", clock.env_steps - clock.stride, clock.env_steps)
        yield


def _log(parts: Parts) -> None:
    """One row of metrics a seed: means since the last row. The only transfer of training to the host."""
    for seed, signals, episodes in zip(
        parts.blueprint.seeds, parts.learner.drain_signals(), parts.episodes.drain(), strict=True
    ):
        bad = [name for name, value in signals.items() if not np.isfinite(value)]
        if bad:
            raise Diverged(
                f"{bad[0]} of seed {seed} is {signals[bad[0]]} at environment step {parts.clock.env_steps:,}"
            )
        if signals or episodes:
            parts.record_metrics(seed, signals | episodes)
    parts.record_timing()


def _evaluate(parts: Parts, console: Console) -> None:
    """Evaluation episodes, recorded a seed."""
    returns = parts.evaluator.returns(parts.learner, parts.clock.env_steps)
    parts.returns = returns.tolist()
    for seed, row in zip(parts.blueprint.seeds, returns, strict=True):
        parts.record_metrics(seed, {"evaluation/return": float(row.mean())})
    parts.flush()
    console.evaluation(
        parts.clock.env_steps,
        {seed: float(row.mean()) for seed, row in zip(parts.blueprint.seeds, returns, strict=True)},
    )
