"""A floor whose colours tell the position. Source: the code of METRA, arXiv:2310.08887 (``RenderWrapper`` there).

dm_control's cameras follow the body and its checkered floor repeats every two metres, so that pictures alone do not
tell where the body is. Tests: tests/environments/test_dm_control_floor.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLUE: Final = 128


def position_colors(rows: int, columns: int) -> NDArray[np.uint8]:
    """The texture ``[rows, columns, 3]``: red grows with the row, green with the column, blue stays."""
    red, green = (np.arange(count) * 255 // count for count in (rows, columns))
    return np.stack(np.broadcast_arrays(red[:, None], green, _BLUE), -1).astype(np.uint8)


def paint_floor(physics: Any, half_side: float) -> None:
    """Make the drawn floor a square of ``2 * half_side`` metres around the origin, with ``position_colors`` on it.

    Call it before the first picture: the texture is copied when a drawing context is made. Contacts are with the whole
    plane of the floor, at whatever size and centre it is drawn, so that states stay equal to the bit.
    """
    import mujoco

    model = physics.model.ptr
    level = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_quat[:, 0] == 1)
    (floor,) = np.flatnonzero(level)
    material = model.geom_matid[floor]
    texture = model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
    rows, columns, first = model.tex_height[texture], model.tex_width[texture], model.tex_adr[texture]
    colors = position_colors(rows, columns).ravel()
    model.tex_data[first : first + colors.size] = colors
    model.mat_texuniform[material], model.mat_texrepeat[material] = 0, 1
    model.geom_size[floor, :2], model.geom_pos[floor, :2] = half_side, 0
