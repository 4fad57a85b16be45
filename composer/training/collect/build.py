"""The collector that a blueprint's environment and algorithm need. Tests: tests/training/test_loop.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.algorithms.on_policy import OnPolicy
from composer.blueprint.forecast.memory import transitions_allocated
from composer.environments.base import Simulator
from composer.environments.labelled.task_sequence import Labelled
from composer.training.collect.labelled import streaming
from composer.training.collect.off_policy import Memory
from composer.training.collect.on_policy import Rollout
from composer.training.collect.replay_build import make_ring
from composer.training.collect.simulation import Acting

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.blueprint.forecast.clock import Clock
    from composer.environments.interface import EnvironmentInfo
    from composer.replay.storage import Storage
    from composer.training.collect.base import Collector
    from composer.training.learner import Learner


def make_collector(
    blueprint: Blueprint, info: EnvironmentInfo, learner: Learner, clock: Clock, storage: Storage
) -> Collector:
    """Of every seed at once, not yet begun; a replay lies where ``storage`` says, a rollout where updates run."""
    environment = blueprint.environment
    if isinstance(environment, Labelled):
        return streaming(environment, learner)
    assert isinstance(environment, Simulator)
    streams = [stream for seed in blueprint.seeds for stream in environment.copy_seeds(seed)]
    environments, copies = environment.make(streams, "training"), environment.copies
    held, algorithm = transitions_allocated(blueprint), blueprint.algorithm
    if isinstance(algorithm, OnPolicy):
        ring = make_ring(info, len(blueprint.seeds), copies, held, learner.device)
        return Acting(learner, environments, Rollout(ring, algorithm, copies, learner), clock.warmup)
    ring = make_ring(info, len(blueprint.seeds), copies, held, learner.device, storage)
    replay = Memory(ring, blueprint.replay.sampling, algorithm.update_schedule(info).future, learner)
    return Acting(learner, environments, replay, clock.warmup, blueprint.training.overlap)
