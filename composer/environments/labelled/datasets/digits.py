"""Handwritten digits that come with scikit-learn.

Tests: tests/environments/test_tasks.py, tests/environments/test_datasets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLES = 1797


class Digits(Data, kind="digits"):
    """1,797 digits of 8 x 8 grey values in 0 to 1, as vectors of 64 or as images; the first ``samples`` of them.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998 (CC BY 4.0);
    the copy is scikit-learn's.
    """

    example: ClassVar[Mapping[str, Any]] = {"kind": "digits", "samples": 1_000, "held_out": 360}

    samples: Annotated[int, Field(ge=1, le=SAMPLES)] = SAMPLES
    """Number of training samples, the first ones."""
    held_out: Annotated[int, Field(ge=0, le=SAMPLES - 1)] = 0
    """Number of held-out samples, the last ones: 360 are a fifth."""
    layout: Literal["vector", "image"] = "vector"
    """Whether an input is a vector of 64 or an image [1, 8, 8]."""

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if self.samples + self.held_out > SAMPLES:
            raise PydanticCustomError(
                "digits_overlap",
                "'samples' and 'held_out' share digits: {samples} + {held_out} > {all}; 'samples' may be {rest}",
                {"samples": self.samples, "held_out": self.held_out, "all": SAMPLES, "rest": SAMPLES - self.held_out},
            )
        return self

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((64,) if self.layout == "vector" else (1, 8, 8), 10, self.samples, self.held_out)

    @override
    def load(self, seed: int) -> Samples:
        inputs, labels = self._all()
        return Samples(inputs[: self.samples], labels[: self.samples])

    @override
    def load_held_out(self, seed: int) -> Samples:
        inputs, labels = self._all()
        return Samples(inputs[SAMPLES - self.held_out :], labels[SAMPLES - self.held_out :])

    def _all(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import numpy as np
        from sklearn.datasets import load_digits

        inputs, labels = load_digits(return_X_y=True)
        return (inputs / 16.0).astype(np.float32).reshape(-1, *self.info.shape), labels.astype(np.int64)
