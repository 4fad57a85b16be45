"""Observations and rewards of dm_control's tasks for all simulations of a batch, equal to dm_control's to the bit.

Observations copy columns of MuJoCo's arrays. Rewards are computed in scalars, row by row, by the operations of
dm_control in their order, so that no reward depends on the number of rows: NumPy squares an array by multiplication and
a scalar by C's ``pow``, which differ in the last bit of one square in a thousand. Where dm_control squares an array of
one entry, ``s * s`` stands here; where it squares a scalar, ``_pow2``. Source: dm_control 1.0.50, ``suite`` and
``utils/rewards.py``. Tests: tests/environments/test_dm_control_rows.py.

Legend: n simulations, d entries of an observation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from typing_extensions import override

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAUSSIAN: Final = float(np.sqrt(-2 * np.log(0.1)))
"""Scale of the Gaussian sigmoid, whose value at the margin is 0.1."""
_PENDULUM_UPRIGHT: Final = float(np.cos(np.deg2rad(8)))
_XX, _XZ, _ZZ = 0, 2, 8
"""Entries of a rotation matrix."""


class RowTask(ABC):
    """One task, measured on a ``mujoco.batch.Batch`` after its step with ``stage=mjSTAGE_VEL``."""

    def __init__(self, batch: Any) -> None:
        self._model = batch.model
        self._qpos, self._qvel, self._ctrl = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        self._xmat = batch.bind("xmat").reshape(batch.nsim, -1)

    @abstractmethod
    def observe(self, out: NDArray[np.float32]) -> None:
        """Write the observations ``[n, d]``, parts in alphabetical order of their names."""

    @abstractmethod
    def rewards(self) -> list[float]:
        """Rewards of the control step just taken, one per simulation."""

    def _matrix(self, body: str, *entries: int) -> list[int]:
        """Columns of ``_xmat`` with the entries of a body's rotation matrix."""
        return [9 * self._model.body(body).id + entry for entry in entries]


class Cartpole(RowTask):
    """One pole on a cart. Smooth rewards, or 1 near the middle with the pole upright."""

    def __init__(self, batch: Any, sparse: bool) -> None:
        super().__init__(batch)
        self._pole = self._matrix("pole_1", _ZZ, _XZ)
        self._reward = _cartpole_sparse if sparse else _cartpole

    @override
    def observe(self, out: NDArray[np.float32]) -> None:
        out[:, 0] = self._qpos[:, 0]
        out[:, 1:3] = self._xmat[:, self._pole]
        out[:, 3:] = self._qvel

    @override
    def rewards(self) -> list[float]:
        columns = self._qpos[:, 0], self._xmat[:, self._pole[0]], self._qvel[:, 1], self._ctrl[:, 0]
        return [self._reward(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


class Pendulum(RowTask):
    """Reward 1 within 8 degrees of upright."""

    def __init__(self, batch: Any) -> None:
        super().__init__(batch)
        self._pole = self._matrix("pole", _ZZ, _XZ)

    @override
    def observe(self, out: NDArray[np.float32]) -> None:
        out[:, :2] = self._xmat[:, self._pole]
        out[:, 2:] = self._qvel

    @override
    def rewards(self) -> list[float]:
        return [float(_PENDULUM_UPRIGHT <= upright <= 1) for upright in self._xmat[:, self._pole[0]].tolist()]


class Runner(RowTask):
    """A body with a torso whose horizontal speed is measured."""

    def __init__(self, batch: Any) -> None:
        super().__init__(batch)
        self._sensors = batch.bind("sensordata")
        self._speed = int(self._model.sensor("torso_subtreelinvel").adr[0])

    def _speeds(self) -> list[float]:
        speeds: list[float] = self._sensors[:, self._speed].tolist()
        return speeds


class Walker(Runner):
    """Rewards for standing upright, and for moving at ``speed`` in m/s; 0: for standing alone."""

    def __init__(self, batch: Any, speed: float) -> None:
        super().__init__(batch)
        torso = self._model.body("torso").id
        self._height = batch.bind("xpos")[:, torso, 2]
        self._upright = self._matrix("torso", _ZZ)[0]
        self._planar = [9 * body + entry for body in range(1, self._model.nbody) for entry in (_XX, _XZ)]
        self._target = speed

    @override
    def observe(self, out: NDArray[np.float32]) -> None:
        end = 1 + len(self._planar)
        out[:, 0] = self._height
        out[:, 1:end] = self._xmat[:, self._planar]
        out[:, end:] = self._qvel

    @override
    def rewards(self) -> list[float]:
        torso = zip(self._height.tolist(), self._xmat[:, self._upright].tolist(), strict=True)
        standing = [_walker_stands(height, upright) for height, upright in torso]
        if self._target == 0:
            return standing
        pairs = zip(standing, self._speeds(), strict=True)
        return [stand * (5 * _moves(speed, self._target, self._target / 2, 0.5) + 1) / 6 for stand, speed in pairs]


class Cheetah(Runner):
    """Reward in proportion to the speed, 1 from 10 m/s on."""

    @override
    def observe(self, out: NDArray[np.float32]) -> None:
        end = self._qpos.shape[1] - 1
        out[:, :end] = self._qpos[:, 1:]
        out[:, end:] = self._qvel

    @override
    def rewards(self) -> list[float]:
        return [_moves(speed, 10, 10, 1) for speed in self._speeds()]


ROW_TASKS: Final[Mapping[str, Callable[[Any], RowTask]]] = {
    "cartpole-balance": partial(Cartpole, sparse=False),
    "cartpole-balance_sparse": partial(Cartpole, sparse=True),
    "cartpole-swingup": partial(Cartpole, sparse=False),
    "cartpole-swingup_sparse": partial(Cartpole, sparse=True),
    "cheetah-run": Cheetah,
    "pendulum-swingup": Pendulum,
    "walker-run": partial(Walker, speed=8),
    "walker-stand": partial(Walker, speed=0),
    "walker-walk": partial(Walker, speed=1),
}
"""Tasks by name. None edits its model at a reset, ends before its time limit or scales its actions."""


def _pow2(value: float) -> float:
    """The square of a NumPy scalar, by C's ``pow``."""
    return float(np.float64(value) ** 2)


def _cartpole(position: float, upright: float, velocity: float, control: float) -> float:
    centered = 1.0 if position == 0 else float(np.exp(-0.5 * _pow2(abs(position) / 2 * _GAUSSIAN)))
    scaled = abs(velocity) / 5 * _GAUSSIAN
    slow = 1.0 if velocity == 0 else float(np.exp(-0.5 * (scaled * scaled)))
    effort = abs(control)
    gentle = 1 - effort * effort if effort < 1 else 0.0
    return (upright + 1) / 2 * ((4 + gentle) / 5) * ((1 + slow) / 2) * ((1 + centered) / 2)


def _cartpole_sparse(position: float, upright: float, velocity: float, control: float) -> float:
    return float(-0.25 <= position <= 0.25 and 0.995 <= upright <= 1)


def _walker_stands(height: float, upright: float) -> float:
    standing = 1.0 if height >= 1.2 else float(np.exp(-0.5 * _pow2((1.2 - height) / 0.6 * _GAUSSIAN)))
    return (3 * standing + (1 + upright) / 2) / 4


def _moves(speed: float, target: float, margin: float, slope: float) -> float:
    """1 from the target speed on; below it falls by ``slope`` per margin, to 0."""
    if speed >= target:
        return 1.0
    missing = (target - speed) / margin * slope
    return 1 - missing if missing < 1 else 0.0
