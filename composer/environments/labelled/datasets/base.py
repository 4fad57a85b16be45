"""The family of data sets: labelled samples, described before they are loaded.

Tests: tests/environments/test_tasks.py, tests/environments/test_datasets.py.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from composer.spec.errors import ComposerError
from composer.spec.family import Family
from composer.spec.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer.environments.labelled.datasets.published import Published


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
    published: ClassVar[tuple[Published, ...]] = ()
    """The data sets that it reads from a folder, and where each comes from."""

    @property
    @abstractmethod
    def info(self) -> DataInfo:
        """Shapes and counts, without loading anything."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files whose checksums a blueprint can declare."""
        return ()

    @property
    def origin(self) -> Published | None:
        """The published data set that it is; None where none is known."""
        mine = ((each, {name: getattr(self, name) for name in each.keys}) for each in self.published)
        return next((each for each, keys in mine if keys == dict(each.keys)), None)

    @property
    def place(self) -> Path | None:
        """The folder that a user brings; None where samples are drawn, or come with a library."""
        return None

    def verify(self) -> None:
        """Check that what it reads is there and whole. Raises DataUnusable."""
        self.load(0)
        self.load_held_out(0)

    @abstractmethod
    def load(self, seed: int) -> Samples:
        """The training samples. Data that are drawn depend on ``seed``: equal seeds give equal samples."""

    def load_held_out(self, seed: int) -> Samples:
        """The held-out samples, of the same distribution; none of them is in ``load``."""
        raise DataUnusable(f"the data {self.kind!r} hold nothing out")
