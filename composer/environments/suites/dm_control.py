"""The DeepMind Control Suite: 51 tasks on MuJoCo. Source: Tassa et al., arXiv:1801.00690.

Tests: tests/environments/test_dm_control.py holds this adapter to dm_control's own environment, bit by bit.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from composer.environments.base import SingleSimulator
from composer.environments.interface import EnvironmentInfo, RenderingUnavailable, SingleEnvironment
from composer.environments.suites.task_tables import Task, task_table
from composer.spec.wording import spelled, suggestion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNLIMITED_ENV_STEPS = 1000
"""dm_control never ends an episode of the two ``lqr`` tasks by time; here they get the limit of all others."""
UNBOUNDED = 1e6
"""Beyond this an action's bound is none (``lqr`` declares 1e10), and there is nothing to scale to."""
PICTURE = {"height": 240, "width": 320}


def _known_task(name: str) -> str:
    tasks = task_table("dm_control")
    if name not in tasks:
        raise PydanticCustomError(
            "task_unknown",
            "no dm_control task named {name}{hint}",
            {"name": spelled(name), "hint": suggestion(name, tasks)},
        )
    return name


class DmControl(SingleSimulator, kind="dm_control"):
    """A task of the DeepMind Control Suite, observed as one vector or from pixels.

    Parts of the vector are joined in alphabetical order of their names, as Gymnasium flattens a dictionary. Pictures
    are of three colours and need a machine that can draw; their defaults are those of DrQ-v2, arXiv:2107.09645.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "dm_control", "task": "walker-walk"}

    task: Annotated[str, AfterValidator(_known_task)]
    """Domain and task as dm_control names them, joined by a hyphen: ``ball_in_cup-catch``."""
    action_repeat: Annotated[int, Field(ge=1, le=100)] = 2
    """Control steps for which one action is held; rewards are summed."""
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

    @property
    def title(self) -> str:
        """The task."""
        return self.task

    def describe(self) -> EnvironmentInfo:
        """From the table of tasks; dm_control is not imported."""
        task = task_table("dm_control")[self.task]
        pictures = self.observe == "pixels"
        return EnvironmentInfo(
            observation=(3 * self.stack, self.height, self.width) if pictures else (task.observation_size,),
            action_size=task.action_size,
            episode_env_steps=task.episode_env_steps,
            action_repeat=self.action_repeat,
            terminates=task.terminates,
            pictures=pictures,
            stacked_frames=self.stack if pictures else 0,
        )

    def single(self) -> SingleEnvironment:
        """dm_control's task and physics.

        Raises ValueError where the installed version does not fit the table, RenderingUnavailable where pixels are
        observed and this machine cannot draw.
        """
        task = ControlTask(task_table("dm_control")[self.task])
        if self.observe == "state":
            return task
        from composer.environments.suites.dm_control_pixels import PixelTask

        return PixelTask(task, self)


class ControlTask:
    """One task of the suite. It steps physics and task as dm_control's environment does, observing only when asked."""

    def __init__(self, task: Task) -> None:
        import mujoco
        import numpy as np

        domain, name = task.name.split("-")
        # The two ``lqr`` tasks draw their springs when they are built: one seed, so that they are the same task always.
        self._random = np.random.RandomState(0)
        environment = load_suite().load(domain, name, task_kwargs={"random": self._random})
        self._environment, self._physics, self._task = environment, environment.physics, environment.task
        self._model, self._data = self._physics.model.ptr, self._physics.data.ptr
        self._warnings = self._physics.data.warning.number
        self._substeps = round(environment.control_timestep() / self._physics.timestep())
        self._runge_kutta = self._physics.model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
        self._mj_step, self._mj_step1, self._mj_step2 = mujoco.mj_step, mujoco.mj_step1, mujoco.mj_step2
        self._limit, self._taken = task.episode_env_steps, 0
        self._set_scale(environment.action_spec())
        self._lay_out(environment.observation_spec(), task)

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``, whose two halves seed the task's Mersenne twister."""
        self._random.seed([seed >> 32, seed & 0xFFFFFFFF])
        self._environment.reset()
        self._healthy = self._warnings.tobytes()
        self._taken = 0

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One control step. A last discount of 0 is a termination; the time limit, which goes first, a truncation."""
        task, physics = self._task, self._physics
        control = self._control
        control[...] = action
        if self._scale is not None:
            control *= self._scale
            control += self._offset
        task.before_step(control, physics)
        self._advance()
        task.after_step(physics)
        reward = task.get_reward(physics)
        self._taken += 1
        if self._taken >= self._limit:
            return reward, False, True
        discount = task.get_termination(physics)
        if discount is None:
            return reward, False, False
        return reward, discount == 0.0, discount != 0.0

    def observe(self) -> NDArray[np.float32]:
        """Parts in alphabetical order, as float32."""
        parts = self._task.get_observation(self._physics)
        for name, place in self._places:
            place[...] = parts[name]
        return self._observation

    def render(self) -> NDArray[np.uint8]:
        """The view of the task's first camera, 240 x 320."""
        return self.draw(camera=0, **PICTURE)

    def draw(self, height: int, width: int, camera: int) -> NDArray[np.uint8]:
        """A picture [height, width, 3]; raises RenderingUnavailable."""
        try:
            picture: NDArray[np.uint8] = self._physics.render(height, width, camera)
        except Exception as error:
            raise RenderingUnavailable(
                f"this machine cannot draw dm_control's pictures (MUJOCO_GL={os.environ.get('MUJOCO_GL')}): {error}. "
                "Without a screen it needs EGL (Debian: libegl1 and libgl1-mesa-dri); training from state needs none"
            ) from error
        return picture

    def close(self) -> None:
        """Free the simulation."""
        self._environment.close()
        self._physics.free()

    def _advance(self) -> None:
        """One control step of the physics, as ``dm_control.mujoco.Physics.step`` takes it.

        Velocities and positions are brought up to date after the last substep; with Euler integration the state's first
        half-step has been taken already. A warning (a diverged simulation) is an error, as it is there.
        """
        model, data = self._model, self._data
        if self._runge_kutta:
            self._mj_step(model, data, self._substeps)
        else:
            self._mj_step2(model, data)
            if self._substeps > 1:
                self._mj_step(model, data, self._substeps - 1)
        self._mj_step1(model, data)
        if self._warnings.tobytes() != self._healthy:
            names = [name for name, count in zip(_warning_names(), self._warnings, strict=False) if count]
            raise FloatingPointError(f"MuJoCo warns of {', '.join(names)}: the simulation has diverged")

    def _set_scale(self, spec: Any) -> None:
        """[-1, 1] is mapped affinely to the bounds of ``spec``; where these are [-1, 1] or none, it is left alone."""
        import numpy as np

        low = np.broadcast_to(spec.minimum, spec.shape)
        high = np.broadcast_to(spec.maximum, spec.shape)
        bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
        self._control = np.zeros(spec.shape)
        self._offset = np.where(bounded, (high + low) / 2, 0.0)
        scale = np.where(bounded, (high - low) / 2, 1.0)
        self._scale = scale if (self._offset != 0.0).any() or (scale != 1.0).any() else None

    def _lay_out(self, specs: Any, task: Task) -> None:
        """One vector and, for each part of the observation, its place there."""
        import numpy as np

        sizes = {name: int(np.prod(specs[name].shape, dtype=int)) for name in sorted(specs)}
        if (total := sum(sizes.values())) != task.observation_size or self._control.size != task.action_size:
            raise ValueError(
                f"{task.name} has {total} observations and {self._control.size} actions in the installed dm_control, "
                f"but {task.observation_size} and {task.action_size} in composer's table: install a version that "
                "constraints.txt names"
            )
        self._observation = np.zeros(total, np.float32)
        ends = np.cumsum(list(sizes.values()))
        self._places = [
            (name, self._observation[end - sizes[name] : end].reshape(specs[name].shape))
            for name, end in zip(sizes, ends, strict=True)
        ]


def _warning_names() -> list[str]:
    import mujoco

    return list(mujoco.mjtWarning.__members__)


def load_suite() -> ModuleType:
    """``dm_control.suite``, imported so that pictures can be drawn where the machine can, and training works anyway.

    dm_control chooses its way of drawing once, when imported, and fails there if that way is broken. A choice of the
    user's, in ``MUJOCO_GL``, is left alone.
    """
    if "dm_control" not in sys.modules and "MUJOCO_GL" not in os.environ:
        os.environ["MUJOCO_GL"] = backend = _drawing_backend()
        try:
            importlib.import_module("dm_control._render")
        except Exception:  # whatever OpenGL's loader meets on a machine without a display
            if backend == "disabled":
                raise
            os.environ["MUJOCO_GL"] = "disabled"
    return importlib.import_module("dm_control.suite")


def _drawing_backend() -> str:
    """``egl`` or ``osmesa``, whichever library is installed, else ``disabled``."""
    for backend, library in (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8")):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return backend
    return "disabled"
