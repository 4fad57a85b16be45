"""The collector that a blueprint's environment and algorithm need. Tests: tests/contracts/test_loop.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer.algorithms.on_policy import OnPolicy
from composer.blueprint.memory import transitions_allocated
from composer.collectors.acting import Acting
from composer.collectors.labelled import streaming
from composer.collectors.memory import Memory
from composer.collectors.rollout import Rollout
from composer.environments.base import Simulator
from composer.environments.labelled import Labelled
from composer.experience.make import make_ring

if TYPE_CHECKING:
    from composer.blueprint import Blueprint
    from composer.clock import Clock
    from composer.collectors.base import Collector
    from composer.environments.base import EnvironmentInfo
    from composer.experience.storage import Storage
    from composer.learner import Learner


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
    replay = Memory(ring, blueprint.replay.sampling, algorithm.pace(info).future, learner)
    return Acting(learner, environments, replay, clock.warmup, blueprint.training.overlap)
