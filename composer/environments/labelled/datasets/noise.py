"""Random inputs with random labels: nothing to generalise, everything to memorise.

Tests: tests/environments/test_tasks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, Samples
from composer.spec.random_streams import derive


class Noise(Data, kind="noise"):
    """Unit-normal vectors, each with a uniformly random label, drawn anew for each seed."""

    varies: ClassVar[bool] = True

    example: ClassVar[Mapping[str, Any]] = {"kind": "noise", "samples": 512, "width": 32, "labels": 10}

    samples: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of samples."""
    width: Annotated[int, Field(ge=1, le=65_536)]
    """Length of an input."""
    labels: Annotated[int, Field(ge=2, le=65_536)] = 10
    """Number of classes."""

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((self.width,), self.labels, self.samples)

    @override
    def load(self, seed: int) -> Samples:
        import numpy as np

        random = np.random.Generator(np.random.PCG64(derive(seed, "data")))
        inputs = random.standard_normal((self.samples, self.width), dtype=np.float32)
        return Samples(inputs, random.integers(0, self.labels, self.samples))
