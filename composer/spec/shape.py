"""The shape of one sample, and the error of a block that does not accept one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def located(*steps: str | int) -> Iterator[None]:
    """Errors of shapes inside lead to the keys ``steps``, then to their own."""
    try:
        yield
    except ShapeError as error:
        raise error.under(*steps) from None
