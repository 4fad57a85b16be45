"""One phase of labelled data, declared: its samples, their labels, its length, changes of its pictures.

Tests: tests/environments/test_phases.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from composer.spec.family import Items, Spec

Count = Annotated[int, Field(ge=1, le=10**9)]
Share = Annotated[float, Field(ge=0, le=1)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
Shares = Annotated[
    Items[Share],
    Field(min_length=1, max_length=1_000),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [_SHARE, {"type": "array", "items": _SHARE, "minItems": 1, "maxItems": 1_000}]}),
]
"""Shares from 0 to 1: a list, or one number in place of a list of one."""


class Augmentation(Spec):
    """Random changes of pictures in every batch: the usual ones for CIFAR, as in He et al., arXiv:1512.03385."""

    crop: Annotated[int, Field(ge=0, le=64)] = 4
    """Pixels of black padding; a crop of the old size is taken at a random place. 0 crops nothing."""
    flip: bool = True
    """Whether pictures are mirrored left to right with probability 1/2."""


class Standardization(Spec):
    """Moments of pictures per channel, in units of the largest byte, 255."""

    mean: Annotated[Items[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1, max_length=1_024)]
    """Subtracted."""
    deviation: Annotated[Items[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=1_024)]
    """Divided by."""


class EarlyStopping(Spec):
    """Ends a phase when the held-out loss has stopped falling, for each seed on its own.

    The loss is the held-out cross-entropy of the model that evaluations use (``evaluation.acting``).
    """

    patience: Annotated[int, Field(ge=1, le=10**6)]
    """The phase ends after so many readings in a row that are no better than the best one before them."""
    every: Count
    """Updates between two readings of the loss."""


class Phase(Spec):
    """A part of training on a part of the data."""

    updates: Count | None = None
    """Length in gradient updates; the last phase may leave this out and then lasts to the end of the run."""
    epochs: Count | None = None
    """Length in passes over the samples of the phase."""
    chunks: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Number of phases in a row, each as long as this one; the k-th holds ``k / chunks`` of the subset."""
    subset: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the samples; a smaller subset is part of every larger one."""
    label_noise: Shares = (0.0,)
    """Share of wrong labels in the subset, drawn anew in each phase; or a list, one share per chunk."""
    classes: Annotated[Items[Annotated[int, Field(ge=0, le=65_535)]], Field(max_length=65_536)] = ()
    """The classes of training and held-out samples; empty for all."""
    permutation: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Order of the entries of an input: 0 keeps it, any other number is a random order of its own."""
    early_stopping: EarlyStopping | None = None
    """Ends the phase before its planned end."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.updates is not None and self.epochs is not None:
            raise PydanticCustomError("phase_length", "give one of 'updates' and 'epochs', got both")
        if len(self.label_noise) not in (1, self.chunks):
            raise PydanticCustomError(
                "phase_noise",
                "'label_noise' lists {given} shares for {chunks} chunks",
                {"given": len(self.label_noise), "chunks": self.chunks},
            )
        if len(set(self.classes)) != len(self.classes):
            raise PydanticCustomError("phase_classes", "'classes' names a class twice")
        return self

    @property
    def is_open(self) -> bool:
        """Whether it lasts to the end of the run."""
        return self.updates is None and self.epochs is None

    def noise(self, chunk: int) -> float:
        """Label noise of one chunk, from 0."""
        return self.label_noise[chunk % len(self.label_noise)]

    def split(self) -> Iterator[Phase]:
        """Its chunks, as phases of one chunk each."""
        for chunk in range(self.chunks):
            share = self.subset * (chunk + 1) / self.chunks
            yield self.model_copy(update={"chunks": 1, "subset": share, "label_noise": (self.noise(chunk),)})
