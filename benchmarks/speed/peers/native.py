"""dm_control's physics without dm_control: what a native environment could gain.

No candidate here observes, rewards or ends an episode. All step what the adapter steps: the same starts, the same drawn
actions, begun again after an episode's length. Where that leads: tests/environments/test_native_dynamics.py.
Tests: tests/benchmarks/test_speed_candidates.py.

Legend: n environments, s entries of a state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch
from mujoco.rollout import Rollout

from benchmarks.speed.ours.environments import StepSubject, drawn
from benchmarks.speed.workloads.environments import COPIES, at_once
from composer.environments.suites.dm_control import DmControl
from composer.environments.suites.dm_control_single import load_suite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.speed.candidate import Candidate
    from benchmarks.speed.workloads.environments import Control

_ROLLED: Final = mujoco.mjtState.mjSTATE_FULLPHYSICS
"""Arguments and results of ``mujoco.rollout``."""
_WHOLE: Final = mujoco.mjtState.mjSTATE_INTEGRATION
"""The full state, with the solver's warm start."""
_CURRENT: Final = int(mujoco.mjtStage.mjSTAGE_VEL)
"""Position and velocity stages are recomputed after a step, as dm_control does."""


class Starts:
    """Initial states of the adapter's episodes of seeds 0 to n - 1, and lengths of control steps and episodes."""

    def __init__(self, workload: Control, n: int, kind: mujoco.mjtState) -> None:
        """States are of ``kind``."""
        domain, task = workload.task.split("-")
        random = np.random.RandomState(0)
        environment: Any = load_suite().load(domain, task, task_kwargs={"random": random})
        spec = environment.action_spec()
        if (spec.minimum != -1.0).any() or (spec.maximum != 1.0).any():
            raise ValueError(f"{workload.task} has bounds of its own, and nothing here scales actions")
        self.model: Any = environment.physics.model.ptr
        self.substeps = round(environment.control_timestep() / environment.physics.timestep())
        self.limit = DmControl(task=workload.task).info.episode_env_steps
        self.states: NDArray[np.float64] = np.empty((n, mujoco.mj_stateSize(self.model, kind)))
        """``[n, s]``."""
        for seed, state in enumerate(self.states):
            random.seed([0, seed])
            environment.reset()
            mujoco.mj_getState(self.model, environment.physics.data.ptr, state, kind)


class Native(Protocol):
    """Several environments, stepped by MuJoCo."""

    starts: Starts

    def begin(self) -> None:
        """Set the initial states."""

    def step(self, actions: NDArray[np.float32]) -> None:
        """One control step of each environment."""


class Alone:
    """One environment: the ``mj_step`` calls of a control step."""

    def __init__(self, workload: Control) -> None:
        """Set up without stepping."""
        self.starts = Starts(workload, 1, _WHOLE)
        self.data: Any = mujoco.MjData(self.starts.model)

    def begin(self) -> None:
        """The start of seed 0."""
        mujoco.mj_setState(self.starts.model, self.data, self.starts.states[0], _WHOLE)

    def step(self, actions: NDArray[np.float32]) -> None:
        """Under ``actions`` [a]."""
        self.data.ctrl[:] = actions
        mujoco.mj_step(self.starts.model, self.data, self.starts.substeps)


class Rolled:
    """``mujoco.rollout``, a control step a call, from the states of the last call."""

    def __init__(self, workload: Control, threads: int) -> None:
        """Set up without stepping."""
        self.starts = starts = Starts(workload, COPIES, _ROLLED)
        self.states = starts.states.copy()
        self._models = [starts.model] * COPIES
        self._data: list[Any] = [mujoco.MjData(starts.model) for _ in range(threads)]
        self._pool = Rollout(nthread=threads if threads > 1 else 0)
        self._controls = np.zeros((COPIES, starts.substeps, starts.model.nu))
        self._reached = np.zeros((COPIES, starts.substeps, self.states.shape[1]))
        self._sensors = np.zeros((COPIES, starts.substeps, starts.model.nsensordata))

    def begin(self) -> None:
        """Set all initial states."""
        self.states[:] = self.starts.states

    def step(self, actions: NDArray[np.float32]) -> None:
        """Under ``actions`` [n, a]."""
        self._controls[:] = actions[:, None]
        self._pool.rollout(
            self._models,
            self._data,
            self.states,
            self._controls,
            skip_checks=True,
            nstep=self.starts.substeps,
            state=self._reached,
            sensordata=self._sensors,
        )
        self.states[:] = self._reached[:, -1]


class Batched:
    """``mujoco.batch`` in dm_control's order, with all that tasks measure."""

    def __init__(self, workload: Control, threads: int) -> None:
        """Set up without stepping."""
        self.starts = Starts(workload, COPIES, _WHOLE)
        self.stepper: Any = Batch(self.starts.model, COPIES, threads, persistent=True)
        for measured in ("xpos", "xmat", "sensordata"):
            self.stepper.bind(measured)

    def begin(self) -> None:
        """Set all initial states."""
        self.stepper.state[:] = self.starts.states

    def step(self, actions: NDArray[np.float32]) -> None:
        """Under ``actions`` [n, a]."""
        self.stepper.ctrl = actions
        self.stepper.step(nstep=self.starts.substeps, stage=_CURRENT)


def in_episodes(native: Native) -> Callable[[NDArray[np.float32]], None]:
    """Its ``step``, with ``begin`` before every episode's length of them."""
    taken = 0

    def step(actions: NDArray[np.float32]) -> None:
        nonlocal taken
        if taken % native.starts.limit == 0:
            native.begin()
        taken += 1
        native.step(actions)

    return step


def alone(workload: Control, candidate: Candidate) -> StepSubject:
    """One environment, one thread."""
    native = Alone(workload)
    return StepSubject(in_episodes(native), drawn(native.starts.model.nu), 1)


def rollout(workload: Control, candidate: Candidate) -> StepSubject:
    """``mujoco.rollout`` on one thread."""
    return _together(Rolled(workload, 1))


def rollout_at_once(workload: Control, candidate: Candidate) -> StepSubject:
    """``mujoco.rollout`` on a thread for every core."""
    return _together(Rolled(workload, at_once()))


def batch(workload: Control, candidate: Candidate) -> StepSubject:
    """``mujoco.batch`` on one thread."""
    return _together(Batched(workload, 1))


def batch_at_once(workload: Control, candidate: Candidate) -> StepSubject:
    """``mujoco.batch`` on a thread for every core."""
    return _together(Batched(workload, at_once()))


def _together(native: Native) -> StepSubject:
    return StepSubject(in_episodes(native), drawn(COPIES, native.starts.model.nu), COPIES)
