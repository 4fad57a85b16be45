"""Generated pictures in the format of CIFAR, which need no download. Tests: tests/environments/test_datasets.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, Samples
from composer.spec.random_streams import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

COARSE = 4
"""Values along a side of a prototype, and of a field of displacements, before interpolation."""
CHUNK = 1_000
"""Pictures generated in one pass."""


class GeneratedImages(Data, kind="generated_images"):
    """Colour pictures of classes that can be generalised: a class is a smooth random picture, deformed and noisy.

    The prototype of a class is interpolated from ``4 x 4`` normal values per channel; ``similarity`` of its variance is
    common to all classes. A sample is its prototype under a smooth random displacement of every pixel, with a
    brightness of its own and independent noise, in bytes. Held-out samples are drawn the same way. The data set is this
    project's own; nothing is published on it.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "generated_images", "samples": 5_000, "held_out": 1_000}

    samples: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Number of training samples."""
    held_out: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    """Number of held-out samples."""
    labels: Annotated[int, Field(ge=2, le=1_000)] = 10
    """Number of classes."""
    side: Annotated[int, Field(ge=8, le=256)] = 32
    """Height and width in pixels."""
    similarity: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Share of the variance of prototypes that all classes have in common."""
    deformation: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Standard deviation of displacements, as a share of half a side."""
    noise: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Standard deviation of the noise of a pixel, that of prototypes being 1."""
    number: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Which data set: another number, other prototypes."""

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((3, self.side, self.side), self.labels, self.samples, self.held_out)

    @override
    def load(self, seed: int) -> Samples:
        return self._generate("learned", self.samples)

    @override
    def load_held_out(self, seed: int) -> Samples:
        return self._generate("held_out", self.held_out)

    def _generate(self, part: str, count: int) -> Samples:
        import numpy as np

        drawn = np.random.Generator(np.random.PCG64(derive(self.number, "prototypes")))
        common, own = (drawn.standard_normal((many, 3, COARSE, COARSE)) for many in (1, self.labels))
        coarse = self.similarity**0.5 * common + (1 - self.similarity) ** 0.5 * own
        random = np.random.Generator(np.random.PCG64(derive(self.number, part)))
        labels = random.integers(0, self.labels, count)
        prototypes = _smooth(coarse, self.side)
        inputs = np.empty((count, *self.info.shape), np.uint8)
        for start in range(0, count, CHUNK):
            inputs[start : start + CHUNK] = self._deformed(prototypes, labels[start : start + CHUNK], random)
        return Samples(inputs, labels)

    def _deformed(
        self, prototypes: Tensor, labels: NDArray[np.int64], random: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Samples of given classes, ``[n, 3, side, side]``."""
        import numpy as np
        import torch
        from torch.nn import functional

        count, side = len(labels), self.side
        moved = _smooth(random.standard_normal((count, 2, COARSE, COARSE)), side) * self.deformation
        line = (torch.arange(side) * 2 + 1) / side - 1
        places = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) + moved.permute(0, 2, 3, 1)
        bent = functional.grid_sample(
            prototypes[torch.from_numpy(labels)], places, padding_mode="reflection", align_corners=False
        )
        brightness = random.standard_normal((count, 1, 1, 1)) * 0.2
        noise = random.standard_normal(bent.shape, dtype=np.float32) * self.noise
        # Four standard deviations span the range of a byte.
        return np.clip(np.rint(127.5 + 32 * (bent.numpy() + brightness + noise)), 0, 255).astype(np.uint8)


def _smooth(coarse: NDArray[np.float64], side: int) -> Tensor:
    """Interpolated to pixels, ``[n, c, side, side]``."""
    import torch
    from torch.nn import functional

    return functional.interpolate(
        torch.from_numpy(coarse).float(), size=(side, side), mode="bicubic", align_corners=True
    )
