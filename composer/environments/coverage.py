"""How much of its world an agent visits: cells of a grid over some entries of its observations or places.

Tests: tests/environments/test_coverage.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from composer.spec.family import Items, Spec
from composer.spec.metrics import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.interface import Observations

Entry = Annotated[int, Field(ge=0, le=10**6)]
COVERAGE: Final = Metric(
    "evaluation/coverage", "cells of coordinates that the episodes of an evaluation visit, all together", "cells", low=1
)


class Coverage(Spec):
    """The number of different cells of coordinates that all episodes of an evaluation visit together.

    The coordinates of every observation, the first and the last of an episode included, are divided by ``cell`` and
    rounded down. Where observations are pictures, the simulator tells the place beside them. Source: the policy state
    coverage of METRA, arXiv:2310.08887, whose cells are of size 1.
    """

    coordinates: Annotated[Items[Entry], Field(min_length=1, max_length=16)]
    """Entries of an observation, from 0, such as the position: ``[0, 1]``; beside pictures, of the place."""
    cell: Annotated[float, Field(gt=0, le=1e12)] = 1.0
    """Side of a cell, in the unit of the coordinates."""

    def cells(self, seen: Observations | NDArray[np.float64]) -> NDArray[np.int64]:
        """The cells ``[n, coordinates]`` of observations or places ``[n, d]``."""
        import numpy as np

        return np.floor(seen[:, list(self.coordinates)].astype(np.float64) / self.cell).astype(np.int64)


class VisitedCells:
    """The cells that the episodes of n environments have visited, in S equal groups."""

    def __init__(self, coverage: Coverage, groups: int) -> None:
        """None visited yet."""
        self._coverage = coverage
        self._visited: list[set[tuple[int, ...]]] = [set() for _ in range(groups)]

    def visit(self, seen: Observations | NDArray[np.float64], running: NDArray[np.bool_]) -> None:
        """Count the observations or places ``[n, d]`` of the environments that are ``running [n]``."""
        cells = self._coverage.cells(seen)
        each = len(cells) // len(self._visited)
        for row in running.nonzero()[0].tolist():
            self._visited[row // each].add(tuple(cells[row].tolist()))

    @property
    def counts(self) -> list[int]:
        """Cells of each group."""
        return [len(cells) for cells in self._visited]
