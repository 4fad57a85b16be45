"""Rows of one dm_control task that MuJoCo steps together, equal to dm_control's own steps to the bit.

``mujoco.batch`` keeps each simulation's whole state, the contact solver's warm start included, and ends a control step
as dm_control does, with positions and velocities measured anew (docs/decisions/0016-native-stepping.md). Resets and
pictures are dm_control's own: one environment serves all rows, and its state is copied.

Legend: n rows. Tests: tests/environments/test_dm_control_rows.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError
from typing_extensions import override

from composer.environments.interface import RenderingUnavailable
from composer.environments.suites.dm_control_rewards import ROW_TASKS
from composer.environments.suites.dm_control_single import DmControlSingle, diverged
from composer.environments.vector.rows import BlameCurrentRow, Resets, RowArrays, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from composer.environments.interface import EnvironmentInfo
    from composer.environments.suites.task_tables import Task

_WHOLE: Final = mujoco.mjtState.mjSTATE_INTEGRATION
"""The state from which a simulation goes on exactly."""
_CURRENT: Final = int(mujoco.mjtStage.mjSTAGE_VEL)
"""What depends on positions and velocities is computed after the step."""


class DmControlRows(Rows):
    """n environments of one of ``ROW_TASKS``, observed as vectors. Episodes end at the time limit alone."""

    def __init__(self, info: EnvironmentInfo, task: Task, n: int, threads: int) -> None:
        """MuJoCo steps the rows in ``threads`` threads, whose number changes no result."""
        self.arrays = arrays = RowArrays.private(info, n)
        self._repeat, self._limit = info.action_repeat, task.episode_env_steps
        self._blame = BlameCurrentRow(arrays, 0)
        with self._blame.of("building it"):
            self._single: DmControlSingle | None = (single := DmControlSingle(task))
            self._model, self._data, self._substeps = single.model, single.data, single.substeps
            self._batch = Batch(single.model, n, threads, persistent=True)
            self._task = ROW_TASKS[task.name](self._batch)
        self._state, self._control, self._warnings = self._batch.state, self._batch.ctrl, self._batch.warning
        self._taken = np.zeros(n, np.int64)
        self._observed = np.zeros_like(arrays.observation)
        self._all = np.ones(n, np.bool_)

    @override
    def reset(self, resets: Resets) -> None:
        assert self._single is not None
        with self._blame.of("reset"):
            for row, seed in resets:
                self.arrays.current[0] = row
                self._single.reset(seed)
                mujoco.mj_getState(self._model, self._data, self._state[row], _WHOLE)
                self._warnings[row] = 0
                self._taken[row] = 0
                self.arrays.observation[row] = self._single.observe()

    @override
    def step(self) -> None:
        with self._blame.of("step"):
            self._decide(self._all)

    @override
    def continue_episodes(self, rows: NDArray[np.int64]) -> None:
        """Do nothing: no episode continues an ended one."""

    @override
    def replay(self, resets: Resets, actions: Sequence[NDArray[np.float32]]) -> None:
        arrays, lengths = self.arrays, np.zeros_like(self._taken)
        self.reset(resets)
        lengths[[row for row, _ in resets]] = [len(taken) for taken in actions]
        reward, steps = np.zeros_like(arrays.reward), np.zeros_like(arrays.steps)
        with self._blame.of("step"):
            for moment in range(lengths.max()):
                for (row, _), taken in zip(resets, actions, strict=True):
                    if moment < len(taken):
                        arrays.actions[row] = taken[moment]
                self._decide(playing := lengths > moment)
                reward[playing] += arrays.reward[playing]
                steps[playing] += arrays.steps[playing]
        arrays.reward[...], arrays.steps[...] = reward, steps

    @override
    def render(self, row: int) -> NDArray[np.uint8]:
        assert self._single is not None
        self.arrays.current[0] = row
        with self._blame.of("render", passed=RenderingUnavailable):
            mujoco.mj_setState(self._model, self._data, self._state[row], _WHOLE)
            mujoco.mj_forward(self._model, self._data)
            return self._single.render()

    @override
    def close(self) -> None:
        single, self._single = self._single, None
        if single is not None:
            with self._blame.of("close"):
                single.close()

    def _decide(self, playing: NDArray[np.bool_]) -> None:
        """One decision of the rows ``playing`` [n], under ``arrays.actions``."""
        arrays = self.arrays
        np.copyto(self._control, arrays.actions, where=playing[:, None])
        arrays.reward[playing] = arrays.steps[playing] = 0
        for _ in range(self._repeat):
            moving = playing & (self._taken < self._limit)
            if not moving.any():
                break
            self._advance(moving)
            self._taken += moving
            arrays.steps += moving
            np.add(arrays.reward, self._task.rewards(), out=arrays.reward, where=moving)
        self._task.observe(self._observed)
        np.copyto(arrays.observation, self._observed, where=playing[:, None])
        np.copyto(arrays.truncated, self._taken >= self._limit, where=playing)

    def _advance(self, moving: NDArray[np.bool_]) -> None:
        """One control step of the rows ``moving`` [n]. A warning (a diverged simulation) is an error."""
        try:
            self._batch.step(moving, self._substeps, _CURRENT)
        except SimulationError as error:
            self.arrays.current[0] = error.ids[0]
            raise
        numbers = self._warnings[..., 1]
        if numbers.any():
            row = int(numbers.any(axis=1).argmax())
            self.arrays.current[0] = row
            raise diverged(numbers[row])
