"""Random bits, for tasks that make their own targets. Tests: tests/environments/test_regression_tasks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, Samples
from composer.spec.random_streams import derive


class Bits(Data, kind="bits"):
    """Vectors of zeros and ones, equally likely, drawn anew for each seed. A task gives their targets."""

    varies: ClassVar[bool] = True

    example: ClassVar[Mapping[str, Any]] = {"kind": "bits", "samples": 1_000, "width": 20}

    samples: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """Number of samples."""
    width: Annotated[int, Field(ge=2, le=4_096)] = 20
    """Length of an input."""

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((self.width,), 1, self.samples)

    @override
    def load(self, seed: int) -> Samples:
        import numpy as np

        random = np.random.Generator(np.random.PCG64(derive(seed, "data")))
        inputs = random.integers(0, 2, (self.samples, self.width)).astype(np.float32)
        return Samples(inputs, np.zeros(self.samples, np.float32))
