"""The DeepMind Control Suite: 51 tasks on MuJoCo. Source: Tassa et al., arXiv:1801.00690.

Tests: tests/environments/test_dm_control.py holds this adapter to dm_control's own environment, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field
from typing_extensions import override

from composer.environments.base import SingleSimulator
from composer.environments.distractions.base import Distracted
from composer.environments.interface import EnvironmentInfo, SingleEnvironment
from composer.environments.native import NativeSpaces
from composer.environments.suites.task_tables import Task, known, task_table
from composer.spec.without import Without

if TYPE_CHECKING:
    from composer.environments.vector.rows import Rows

PLACE: Final = 3
"""Coordinates of the first body, such as the torso of a walker: its place beside pictures."""
TRAVELLING: Final = frozenset({"cheetah", "dog", "hopper", "humanoid", "humanoid_CMU", "quadruped", "walker"})
"""Domains whose bodies travel on a level floor."""
UNLIMITED_ENV_STEPS = 1000
"""dm_control gives the two ``lqr`` tasks no time limit; here they get the limit of all other tasks."""


class DmControl(SingleSimulator, kind="dm_control"):
    """A task of the DeepMind Control Suite, observed as one vector or from pixels.

    Parts of the vector are joined in alphabetical order of their names, as Gymnasium flattens a dictionary. Pictures
    are of three colours and need a machine that can draw; their defaults are those of DrQ-v2, arXiv:2107.09645.
    """

    task_key: ClassVar[str] = "task"
    tells_background: ClassVar[bool] = True
    first_env_steps: ClassVar[int] = 500_000
    example: ClassVar[Mapping[str, Any]] = {"kind": "dm_control", "task": "walker-walk"}

    task: Annotated[str, AfterValidator(lambda name: known(name, task_table("dm_control"), "dm_control task"))]
    """Domain and task as dm_control names them, joined by a hyphen: ``ball_in_cup-catch``."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Control steps for which one action is held; rewards are summed."""
    episode_env_steps: Annotated[int | None, Field(ge=1, le=100_000), Without(None)] = None
    """Control steps of an episode, no more than the task has; absent: as many as it has."""
    observe: Literal["state", "pixels"] = "state"
    """The vector of the task's own measurements, or pictures of it."""
    height: Annotated[int, Field(ge=8, le=480)] = 84
    """Of pixels: rows of a picture."""
    width: Annotated[int, Field(ge=8, le=640)] = 84
    """Of pixels: columns of a picture."""
    camera: Annotated[int, Field(ge=0, le=100)] = 0
    """Of pixels: which of the task's cameras."""
    stack: Annotated[int, Field(ge=1, le=64)] = 3
    """Of pixels: newest pictures, one a decision, that make an observation; the first one fills it."""
    shadows: bool | None = None
    """Of pixels: whether shadows and reflections are drawn. Absent: they are, as dm_control draws them; without a GPU
    they take nearly all the time of a picture."""
    colored_floor: Annotated[float | None, Field(gt=0, le=1_000), Without(None)] = None
    """Of pixels: half the side, in metres, of a square floor around the origin whose colours tell the position: cameras
    follow the body, and the own floor repeats. Source: METRA's code, arXiv:2310.08887. Absent: the task's own floor."""

    @override
    @classmethod
    def known_tasks(cls) -> tuple[str, ...]:
        return (*task_table("dm_control"),)

    @override
    def from_pixels(self) -> DmControl:
        return self.model_copy(update={"observe": "pixels"})

    @property
    @override
    def title(self) -> str:
        return self.task

    @property
    @override
    def metric_range(self) -> tuple[float, float]:
        """Rewards are in [0, 1], but for those of ``lqr``, which have no lower bound."""
        return (-math.inf if self.task.startswith("lqr") else 0.0), float(self.info.episode_env_steps)

    @property
    @override
    def stays_in_thread(self) -> bool:
        """Of pixels: a context of OpenGL belongs to the thread that draws first."""
        return super().stays_in_thread or (self.observe == "pixels" and not self.workers)

    @property
    @override
    def shows_pictures(self) -> bool:
        return self.observe == "pixels"

    @property
    def _limited(self) -> Task:
        """The task with the declared length of episodes."""
        task = task_table("dm_control")[self.task]
        return replace(task, episode_env_steps=self.episode_env_steps or task.episode_env_steps)

    @property
    def _has_own_floor(self) -> bool:
        """Whether a body travels on a level floor whose material nothing else has, such as hills."""
        return self.task.partition("-")[0] in TRAVELLING and self.task != "quadruped-escape"

    @override
    def problems(self, batch_size: int, env_steps: int, seeds: int) -> Iterator[tuple[str, str]]:
        yield from super().problems(batch_size, env_steps, seeds)
        limit = task_table("dm_control")[self.task].episode_env_steps
        if self.episode_env_steps is not None and self.episode_env_steps > limit:
            message = f"{self.task} ends after {limit:,} control steps: {self.episode_env_steps:,} are too many"
            yield "environment.episode_env_steps", message
        if self.colored_floor is not None and self.observe == "state":
            yield "environment.colored_floor", "states show no floor: it is for observe = 'pixels'"
        elif self.colored_floor is not None and not self._has_own_floor:
            message = f"{self.task} has no level floor, of a material of its own, on which a body travels"
            yield "environment.colored_floor", message

    def describe(self) -> EnvironmentInfo:
        """From the table of tasks; dm_control is not imported."""
        task, pictures = self._limited, self.observe == "pixels"
        return EnvironmentInfo(
            observation=(3 * self.stack, self.height, self.width) if pictures else (task.observation_size,),
            action_size=task.action_size,
            episode_env_steps=task.episode_env_steps,
            action_repeat=self.action_repeat,
            terminates=task.terminates,
            pictures=pictures,
            stacked_frames=self.stack if pictures else 0,
            place_size=PLACE if pictures else 0,
        )

    @override
    def libraries(self) -> tuple[str, ...]:
        return "dm_control", "mujoco"

    @override
    def native_spaces(self) -> NativeSpaces:
        """The parts of the task's observation by name, and its actions within their bounds."""
        from composer.environments.suites.dm_control_single import native_action, native_parts

        task = self._limited
        if self.observe == "state":
            return NativeSpaces(native_parts(task), native_action(task))
        note = f"observation: the newest {self.stack} pictures, oldest first, channels first; the first one fills it"
        return NativeSpaces(super().native_spaces().parts, native_action(task), (note,))

    @override
    def rows(self, n: int) -> Rows:
        """MuJoCo steps two or more rows together where that gives dm_control's numbers to the bit."""
        from composer.environments.suites.dm_control_rewards import ROW_TASKS

        drawn = self.observe == "pixels" or self.reward is not None
        if n == 1 or self.workers or drawn or self.task not in ROW_TASKS:
            return super().rows(n)
        from composer.environments.suites.dm_control_rows import DmControlRows

        return DmControlRows(self.info, self._limited, n, self._threads(n))

    def _threads(self, n: int) -> int:
        """Threads that step n rows: for walkers as many as ``compute.threads`` leaves to an operation, else one.

        Lighter bodies gain nothing that is worth the processor time (docs/decisions/0016-native-stepping.md).
        """
        import torch

        return min(n, torch.get_num_threads()) if self.task.startswith("walker-") else 1

    def single(self) -> SingleEnvironment:
        """dm_control's task and physics.

        Raises ValueError where the installed version does not fit the table, RenderingUnavailable where pixels are
        observed and this machine cannot draw.
        """
        from composer.environments.suites.dm_control_single import DmControlPixels, DmControlSingle

        single = DmControlSingle(self._limited)
        if self.observe == "state":
            return single
        if self.colored_floor is not None:
            single.paint_floor(self.colored_floor)
        shadows = self.shadows is not False
        distracted = Distracted(self.distractions) if self.distractions else None
        view = self.stack, self.height, self.width, self.camera
        return DmControlPixels(single, *view, shadows=shadows, distracted=distracted)
