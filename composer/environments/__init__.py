"""Environments: what an agent acts in, stepped as a vector, with episodes that can be replayed exactly."""

from composer.environments.atari import Atari
from composer.environments.base import (
    Environment,
    EnvironmentFailure,
    EnvironmentInfo,
    InvalidAction,
    RenderingUnavailable,
    Simulator,
    SingleEnvironment,
    SingleSimulator,
    Step,
    VectorEnvironment,
)
from composer.environments.dm_control import DmControl
from composer.environments.gym_suite import Gymnasium
from composer.environments.labelled import Labelled, TaskSequence, TaskStream
from composer.environments.phases import Phases
from composer.environments.regression import BitFlipping, DriftingTargets

__all__ = [
    "Atari",
    "BitFlipping",
    "DmControl",
    "DriftingTargets",
    "Environment",
    "EnvironmentFailure",
    "EnvironmentInfo",
    "Gymnasium",
    "InvalidAction",
    "Labelled",
    "Phases",
    "RenderingUnavailable",
    "Simulator",
    "SingleEnvironment",
    "SingleSimulator",
    "Step",
    "TaskSequence",
    "TaskStream",
    "VectorEnvironment",
]
