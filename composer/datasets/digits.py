"""Handwritten digits that come with scikit-learn. Tests: tests/environments/test_tasks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from composer.datasets.base import Data, Samples
from composer.shapes import Shape

SAMPLES = 1797


class Digits(Data, kind="digits"):
    """1,797 digits of 8 x 8 grey values, as vectors of 64 in 0 to 1; the first ``samples`` of them.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (CC BY 4.0);
    the copy is scikit-learn's.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "digits", "samples": 1_000}

    samples: Annotated[int, Field(ge=1, le=SAMPLES)] = SAMPLES
    """How many are used, from the first on."""

    @property
    def shape(self) -> Shape:
        """A vector of 64."""
        return (64,)

    @property
    def classes(self) -> int:
        """10."""
        return 10

    @property
    def size(self) -> int:
        """As declared."""
        return self.samples

    def load(self, seed: int) -> Samples:
        """The same for every seed."""
        import numpy as np
        from sklearn.datasets import load_digits

        inputs, labels = load_digits(return_X_y=True)
        return Samples((inputs[: self.samples] / 16.0).astype(np.float32), labels[: self.samples].astype(np.int64))
