"""Shapes of one sample, and the error of a shape that cannot be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A block was given a shape that it cannot take. ``steps`` leads to the block, in keys of the blueprint."""

    def __init__(self, message: str, steps: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.steps = steps

    def under(self, *steps: str | int) -> ShapeError:
        """The same error seen from a parent: ``steps`` are put before its own."""
        return ShapeError(self.message, (*steps, *self.steps))
