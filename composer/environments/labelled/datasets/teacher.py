"""Regression on the outputs of a random network. Tests: tests/environments/test_phases_of_numbers.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, Samples
from composer.spec.random_streams import derive


class Teacher(Data, kind="teacher"):
    """Unit-normal vectors; targets are outputs, of variance 1, of a random network with one tanh layer, plus noise.

    ``number`` chooses the network. Samples are drawn anew for each seed; held-out samples have the same noise.
    """

    varies: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"kind": "teacher", "samples": 1_000, "held_out": 500, "width": 16}

    samples: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of samples to learn from."""
    held_out: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Number of samples that are held out."""
    width: Annotated[int, Field(ge=1, le=4_096)] = 16
    """Length of an input."""
    units: Annotated[int, Field(ge=1, le=4_096)] = 32
    """Units of the teacher."""
    noise: Annotated[float, Field(ge=0, le=100)] = 0.1
    """Standard deviation of the noise on targets."""
    number: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Which teacher: another number, another network."""

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((self.width,), 1, self.samples, self.held_out)

    @override
    def load(self, seed: int) -> Samples:
        return self._drawn(derive(seed, "data"), self.samples)

    @override
    def load_held_out(self, seed: int) -> Samples:
        return self._drawn(derive(seed, "held out"), self.held_out)

    def _drawn(self, stream: int, count: int) -> Samples:
        import numpy as np

        teacher = np.random.Generator(np.random.PCG64(derive(self.number, "teacher")))
        weights = teacher.standard_normal((self.width, self.units)) / self.width**0.5
        readout = teacher.standard_normal(self.units)
        # Outputs are scaled by their standard deviation on other inputs.
        scale = np.std(np.tanh(teacher.standard_normal((4_096, self.width)) @ weights) @ readout)
        random = np.random.Generator(np.random.PCG64(stream))
        inputs = random.standard_normal((count, self.width))
        numbers = np.tanh(inputs @ weights) @ readout / scale + self.noise * random.standard_normal(count)
        return Samples(inputs.astype(np.float32), numbers.astype(np.float32))
