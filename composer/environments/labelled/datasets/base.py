"""The family of data sets: labelled samples, described before they are loaded.

Tests: tests/environments/test_tasks.py, tests/environments/test_datasets.py.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from composer.spec.errors import ComposerError
from composer.spec.family import Family
from composer.spec.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DataUnusable(ComposerError, ValueError):
    """Files of a data set are missing, cut short or different from their declaration; the message says where."""

    exit_code = 6


class Samples(NamedTuple):
    """A whole data set in memory."""

    inputs: NDArray[np.float32] | NDArray[np.uint8]
    """``[n, ...]`` numbers, or bytes of pictures ``[n, channels, height, width]``"""
    labels: NDArray[np.int64] | NDArray[np.float32]
    """``[n]`` classes from 0 to classes - 1, or target numbers"""


class DataInfo(NamedTuple):
    """What is known of a data set before it is loaded."""

    shape: Shape
    """Shape of one input."""
    classes: int
    """Number of classes; 1 where labels are numbers."""
    size: int
    """Number of samples to learn from."""
    held_out: int = 0
    """Number of samples that are held out for evaluation."""


class Data(Family, family="data"):
    """A data set of labelled samples."""

    varies: ClassVar[bool] = False
    """Whether each seed has samples of its own."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Top-level modules, beside NumPy, that read the samples."""

    @property
    @abstractmethod
    def info(self) -> DataInfo:
        """Shapes and counts, without loading anything."""

    @abstractmethod
    def load(self, seed: int) -> Samples:
        """The training samples. Data that are drawn depend on ``seed``: equal seeds give equal samples."""

    def load_held_out(self, seed: int) -> Samples:
        """The held-out samples, of the same distribution; none of them is in ``load``."""
        raise DataUnusable(f"the data {self.kind!r} hold nothing out")
