"""Environments: what an agent acts in, stepped as a vector, with episodes that can be replayed exactly."""

from composer.environments.base import (
    Environment,
    EnvironmentFailure,
    EnvironmentInfo,
    InvalidAction,
    RenderingUnavailable,
    SingleEnvironment,
    Step,
    VectorEnvironment,
)
from composer.environments.dm_control import DmControl

__all__ = [
    "DmControl",
    "Environment",
    "EnvironmentFailure",
    "EnvironmentInfo",
    "InvalidAction",
    "RenderingUnavailable",
    "SingleEnvironment",
    "Step",
    "VectorEnvironment",
]
