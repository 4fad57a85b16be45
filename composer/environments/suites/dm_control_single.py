"""One environment of the DeepMind Control Suite, observed as a vector or from pixels.

Tests: tests/environments/test_dm_control.py, tests/environments/test_dm_control_pixels.py.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.environments.interface import RenderingUnavailable
from composer.environments.native import NativeAction, NativePart
from composer.environments.suites.action_bounds import offset_and_scale
from composer.environments.suites.dm_control_floor import paint_floor
from composer.environments.suites.frame_stack import FrameStack
from composer.spec.calls import in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.distractions.base import Distracted
    from composer.environments.suites.task_tables import Task

FILM = (240, 320, 0)
"""Height, width and camera of a film."""


class DmControlSingle:
    """One task of the suite. Steps physics and task as dm_control's environment does, but observes only on demand."""

    def __init__(self, task: Task) -> None:
        suite = load_suite()
        import mujoco

        domain, name = task.name.split("-")
        # The two ``lqr`` tasks draw their springs when they are built: a fixed seed makes them the same task always.
        self._random = np.random.RandomState(0)
        environment = suite.load(domain, name, task_kwargs={"random": self._random})
        self._environment, self._physics, self._task = environment, environment.physics, environment.task
        self.model, self.data = self._physics.model.ptr, self._physics.data.ptr
        self._warnings = self._physics.data.warning.number
        self.substeps = round(environment.control_timestep() / self._physics.timestep())
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
        """One control step. The time limit truncates; before it, an end with discount 0 terminates."""
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
        """Parts of the observation in alphabetical order, as float32."""
        parts = self._task.get_observation(self._physics)
        for name, view in self._views:
            view[...] = parts[name]
        return self._observation

    def place(self) -> NDArray[np.float64]:
        """Where the first body is, ``[3]``."""
        found: NDArray[np.float64] = self.data.xpos[1]
        return found

    def render(self) -> NDArray[np.uint8]:
        """The view of the task's first camera, 240 x 320."""
        return self.draw(*FILM)

    def draw(self, height: int, width: int, camera: int, shadows: bool = True) -> NDArray[np.uint8]:
        """A picture [height, width, 3], with shadows and reflections or without; raises RenderingUnavailable."""
        flags = {} if shadows else {"shadow": False, "reflection": False}
        try:
            picture: NDArray[np.uint8] = self._physics.render(height, width, camera, render_flag_overrides=flags)
        except Exception as error:
            reason = str(error).rstrip(".")
            raise RenderingUnavailable(
                f"this machine cannot draw dm_control's pictures ({_broken_backend or _backend()}): {reason}. "
                "Without a screen it needs EGL (Debian: libegl1 and libgl1-mesa-dri); training from state needs none"
            ) from error
        return picture

    def paint_floor(self, half_side: float) -> None:
        """Draw a square floor of ``2 * half_side`` metres whose colours tell the position; before the first picture."""
        paint_floor(self._physics, half_side)

    def background(self, height: int, width: int, camera: int) -> NDArray[np.bool_]:
        """Which pixels of ``draw`` are background ``[height, width]``: the sky, and planes such as the floor."""
        import mujoco

        seen = self._physics.render(height, width, camera, segmentation=True)
        index, is_geometry = seen[..., 0], seen[..., 1] == mujoco.mjtObj.mjOBJ_GEOM
        planes = self._physics.model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        mask: NDArray[np.bool_] = ~is_geometry | planes[np.where(is_geometry, index, 0)]
        return mask

    def close(self) -> None:
        """Free the simulation."""
        self._environment.close()
        self._physics.free()

    def _advance(self) -> None:
        """One control step of the physics, as ``dm_control.mujoco.Physics.step`` takes it.

        Velocities and positions are updated after the last substep; with Euler integration the first half-step of the
        state is done already. A warning (a diverged simulation) is an error, as in dm_control.
        """
        model, data = self.model, self.data
        if self._runge_kutta:
            self._mj_step(model, data, self.substeps)
        else:
            self._mj_step2(model, data)
            if self.substeps > 1:
                self._mj_step(model, data, self.substeps - 1)
        self._mj_step1(model, data)
        if self._warnings.tobytes() != self._healthy:
            raise diverged(self._warnings)

    def _set_scale(self, spec: Any) -> None:
        """Scale actions to the bounds of ``spec``; bounds of [-1, 1] need no scaling."""
        self._control = np.zeros(spec.shape)
        low, high = (np.broadcast_to(bound, spec.shape) for bound in (spec.minimum, spec.maximum))
        self._offset, scale = offset_and_scale(low, high)
        self._scale = scale if (self._offset != 0.0).any() or (scale != 1.0).any() else None

    def _lay_out(self, specs: Any, task: Task) -> None:
        """Allocate one vector, with a view for each part of the observation."""
        sizes = {name: int(np.prod(specs[name].shape, dtype=int)) for name in sorted(specs)}
        if (total := sum(sizes.values())) != task.observation_size or self._control.size != task.action_size:
            raise ValueError(
                f"{task.name} has {total} observations and {self._control.size} actions in the installed dm_control, "
                f"but {task.observation_size} and {task.action_size} in composer's table: install a version that "
                "constraints.txt names"
            )
        self._observation = np.zeros(total, np.float32)
        ends = np.cumsum(list(sizes.values()))
        self._views = [
            (name, self._observation[end - sizes[name] : end].reshape(specs[name].shape))
            for name, end in zip(sizes, ends, strict=True)
        ]


class DmControlPixels:
    """A task and its newest pictures, oldest first. One picture is drawn per decision, by ``observe``."""

    def __init__(
        self,
        task: DmControlSingle,
        stack: int,
        height: int,
        width: int,
        camera: int,
        *,
        shadows: bool = True,
        distracted: Distracted | None = None,
    ) -> None:
        self._distracted = distracted
        self._task, self._view = task, (height, width, camera, shadows)
        self._frames = FrameStack(stack, lambda: self._draw().transpose(2, 0, 1), (3, height, width))
        self._draw()  # A machine that cannot draw fails now, and not in the first episode.

    def reset(self, seed: int) -> None:
        """Start the episode of ``seed``."""
        self._task.reset(seed)
        if self._distracted is not None:
            self._distracted.begin(seed)
        self._frames.begin()

    def step(self, action: NDArray[np.float32]) -> tuple[float, bool, bool]:
        """One control step."""
        self._frames.move()
        return self._task.step(action)

    def observe(self) -> NDArray[np.uint8]:
        """The stack [3 * stack, height, width]; the first picture of an episode fills it."""
        return self._frames.observe()

    def place(self) -> NDArray[np.float64]:
        """Where the first body is, ``[3]``."""
        return self._task.place()

    def render(self) -> NDArray[np.uint8]:
        """The view of the task's first camera."""
        return self._task.render()

    def close(self) -> None:
        """Free the simulation."""
        self._task.close()

    def _draw(self) -> NDArray[np.uint8]:
        picture = self._task.draw(*self._view)
        if self._distracted is None:
            return picture
        # A picture of MuJoCo is of the moment: what is drawn next may overwrite it.
        return self._distracted.change(picture.copy(), lambda: self._task.background(*self._view[:3]))


def native_parts(task: Task) -> tuple[NativePart, ...]:
    """The parts of a task's observation, in the order in which they are joined."""
    specs = _built(task).observation_spec()
    return tuple(NativePart(name, tuple(specs[name].shape), str(specs[name].dtype), "flat") for name in sorted(specs))


def native_action(task: Task) -> NativeAction:
    """A task's actions in their own units."""
    spec = _built(task).action_spec()
    low, high = (np.broadcast_to(bound, spec.shape) for bound in (spec.minimum, spec.maximum))
    offset, scale = offset_and_scale(low, high)
    if not offset.any() and (scale == 1.0).all():
        return NativeAction(tuple(spec.shape), "float64")
    return NativeAction(tuple(spec.shape), "float64", offset=tuple(offset.tolist()), scale=tuple(scale.tolist()))


def _built(task: Task) -> Any:
    domain, name = task.name.split("-")
    return load_suite().load(domain, name, task_kwargs={"random": 0})


def diverged(warnings: NDArray[np.int32]) -> FloatingPointError:
    """The error of a simulation with these numbers of MuJoCo's warnings, one for each kind."""
    import mujoco

    names = [name for name, count in zip(mujoco.mjtWarning.__members__, warnings, strict=False) if count]
    return FloatingPointError(f"MuJoCo warns of {', '.join(names)}: the simulation has diverged")


def _backend() -> str:
    return f"MUJOCO_GL={os.environ.get('MUJOCO_GL')}"


def load_suite() -> ModuleType:
    """Import ``dm_control.suite`` so that it can draw where the machine can, and work where it cannot.

    dm_control and MuJoCo choose their way of drawing once, when they are imported, and fail then if it is
    broken. One that the user has set in ``MUJOCO_GL`` is kept where it works; otherwise nothing is drawn.
    """
    global _broken_backend
    if "dm_control" not in sys.modules:
        chosen = os.environ.get("MUJOCO_GL")
        os.environ["MUJOCO_GL"] = backend = chosen or _drawing_backend()
        try:
            importlib.import_module("mujoco")
            importlib.import_module("dm_control._render")
        except Exception as error:  # OpenGL's loader may raise anything on a machine without a display.
            if backend == "disabled":
                raise
            _broken_backend = f"MUJOCO_GL={chosen} does not work here: {in_words(error)}" if chosen else ""
            os.environ["MUJOCO_GL"] = "disabled"
    return importlib.import_module("dm_control.suite")


_broken_backend = ""
"""What was wrong with the backend that the user has chosen, if it was not used."""


def _drawing_backend() -> str:
    """``egl`` or ``osmesa``, the first whose library is installed, else ``disabled``."""
    for backend, library in (("egl", "libEGL.so.1"), ("osmesa", "libOSMesa.so.8")):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return backend
    return "disabled"
