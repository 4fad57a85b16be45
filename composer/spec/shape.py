"""The shape of one sample, and the error of a block that does not accept one."""

from __future__ import annotations

Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A block does not accept its input shape. ``steps`` are the blueprint's keys on the way to the block."""

    def __init__(self, message: str, steps: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.steps = steps

    def under(self, *steps: str | int) -> ShapeError:
        """The same error with the ``steps`` of a parent before its own."""
        return ShapeError(self.message, (*steps, *self.steps))
