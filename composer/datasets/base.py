"""The family of data sets: labelled samples, told by shape before they are loaded.

Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from composer.shapes import Shape
from composer.spec import Family

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Samples(NamedTuple):
    """A whole data set in memory."""

    inputs: NDArray[np.float32]
    """``[n, ...]``"""
    labels: NDArray[np.int64] | NDArray[np.float32]
    """``[n]``: classes from 0 to classes - 1, or the numbers to be answered"""


class Data(Family, family="data"):
    """Labelled samples."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Shape of one input."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of samples."""

    @abstractmethod
    def load(self, seed: int) -> Samples:
        """Everything; ``seed`` is for data that are drawn, and the same samples come from the same seed."""
