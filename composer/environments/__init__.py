"""Environments: what an agent acts in, stepped as a vector, with episodes that can be replayed exactly."""

from composer.environments.base import (
    Environment,
    EnvironmentFailure,
    EnvironmentInfo,
    InvalidAction,
    RenderingUnavailable,
    Simulator,
    SingleEnvironment,
    Step,
    VectorEnvironment,
)
from composer.environments.dm_control import DmControl
from composer.environments.labelled import Labelled, TaskSequence
from composer.environments.regression import BitFlipping, DriftingTargets

__all__ = [
    "BitFlipping",
    "DmControl",
    "DriftingTargets",
    "Environment",
    "EnvironmentFailure",
    "EnvironmentInfo",
    "InvalidAction",
    "Labelled",
    "RenderingUnavailable",
    "Simulator",
    "SingleEnvironment",
    "Step",
    "TaskSequence",
    "VectorEnvironment",
]
