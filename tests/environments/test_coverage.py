"""The cells that the episodes of an evaluation visit."""

from __future__ import annotations

import numpy as np

from composer.environments.coverage import Coverage, VisitedCells


def test_cells_are_counted_once_for_each_group_below_zero_too() -> None:
    cells = VisitedCells(Coverage(coordinates=(2, 0), cell=0.5), 2)
    here = np.array([[0.1, 9, 0.6], [0.4, 7, 0.9], [-0.1, 0, 0.1], [5, 5, 5]], np.float32)
    cells.visit(here, np.array([True, True, True, False]))
    assert cells.counts == [1, 1]  # Cells (1, 0) twice, (0, -1); the last environment has ended.
    cells.visit(here + np.float32(0.5), np.array([True, False, True, True]))
    assert cells.counts == [2, 3]


def test_cells_are_rounded_down() -> None:
    found = Coverage(coordinates=(0,), cell=2.0).cells(np.array([[-0.01], [0.0], [1.99], [2.0]], np.float32))
    assert found[:, 0].tolist() == [-1, 0, 0, 1]
