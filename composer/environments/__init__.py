"""Environments: simulators that are stepped as a vector and replayed exactly, and labelled data."""

from composer.environments.base import Environment, Simulator, SingleSimulator
from composer.environments.distractions import Background, Colors, Distraction
from composer.environments.interface import (
    EnvironmentFailure,
    EnvironmentInfo,
    InvalidAction,
    RenderingUnavailable,
    SingleEnvironment,
    Step,
    VectorEnvironment,
)
from composer.environments.labelled.phases import Phases
from composer.environments.labelled.regression import BitFlipping, DriftingTargets
from composer.environments.labelled.stressed import StressedRegression
from composer.environments.labelled.task_sequence import Labelled, TaskSequence, TaskStream
from composer.environments.multitask.multitask import Multitask
from composer.environments.offline.data import OfflineData
from composer.environments.offline.file import File
from composer.environments.offline.minari import Minari
from composer.environments.offline.offline import Offline
from composer.environments.phased.simulator_phases import SimulatorPhases
from composer.environments.rewards import RewardModel, VisionLanguage
from composer.environments.suites.atari import Atari
from composer.environments.suites.craftax import Craftax
from composer.environments.suites.dm_control import DmControl
from composer.environments.suites.gymnasium import Gymnasium
from composer.environments.suites.humanoid_bench import HumanoidBench
from composer.environments.suites.minatar import MinAtar
from composer.environments.suites.myosuite import MyoSuite
from composer.environments.suites.ogbench import OGBench
from composer.environments.suites.playground import Playground
from composer.environments.suites.point import Point

__all__ = [
    "Atari",
    "Background",
    "BitFlipping",
    "Colors",
    "Craftax",
    "Distraction",
    "DmControl",
    "DriftingTargets",
    "Environment",
    "EnvironmentFailure",
    "EnvironmentInfo",
    "File",
    "Gymnasium",
    "HumanoidBench",
    "InvalidAction",
    "Labelled",
    "MinAtar",
    "Minari",
    "Multitask",
    "MyoSuite",
    "OGBench",
    "Offline",
    "OfflineData",
    "Phases",
    "Playground",
    "Point",
    "RenderingUnavailable",
    "RewardModel",
    "Simulator",
    "SimulatorPhases",
    "SingleEnvironment",
    "SingleSimulator",
    "Step",
    "StressedRegression",
    "TaskSequence",
    "TaskStream",
    "VectorEnvironment",
    "VisionLanguage",
]
