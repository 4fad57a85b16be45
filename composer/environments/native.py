"""What an environment itself observes and takes, before composer makes vectors of it: what an exported policy speaks.

Tests: tests/training/export/test_export.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from composer.spec.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

Encoding = Literal["as it is", "flat", "one-hot", "channels first"]


@dataclass(frozen=True)
class NativePart:
    """One array of an observation. The parts of an observation, encoded, are joined in order."""

    name: str
    shape: Shape
    """Of one observation, without the batch."""
    dtype: str
    """As numpy names it."""
    encoding: Encoding = "as it is"
    """``flat``: a float32 vector; ``one-hot``: of an index; ``channels first``: pictures [h, w, c] as [c, h, w]."""
    start: int = 0
    """Of an index: its lowest value."""
    count: int = 0
    """Of an index: how many values it has."""

    def natively(self, seen: NDArray[Any]) -> NDArray[Any]:
        """The part of a batch that composer has encoded as ``seen [n, ...]``."""
        import numpy as np

        if self.encoding == "one-hot":
            index: NDArray[Any] = (seen.argmax(-1) + self.start).astype(self.dtype)
            return index
        if self.encoding == "channels first":
            seen = np.moveaxis(seen, 1, -1)
        own: NDArray[Any] = np.ascontiguousarray(seen.reshape(len(seen), *self.shape).astype(self.dtype))
        return own

    @property
    def size(self) -> int:
        """Numbers in a vector that it takes."""
        return self.count if self.encoding == "one-hot" else math.prod(self.shape)


@dataclass(frozen=True)
class NativeAction:
    """An action: an index where there is a choice, else numbers."""

    shape: Shape
    """Of one action; () of an index."""
    dtype: str
    start: int = 0
    """Of an index: its lowest value."""
    count: int = 0
    """Of an index: how many there are; 0 of numbers."""
    offset: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    """By entry: ``action * scale + offset`` takes [-1, 1] to the environment's own units. Empty: [-1, 1] is its own."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """By entry: bounds that rounding must not pass; empty where there are none."""

    @property
    def ranges(self) -> NDArray[Any]:
        """By entry: from one end of [-1, 1] to the other, in the environment's own units."""
        import numpy as np

        return 2 * np.asarray(self.scale or [1.0] * math.prod(self.shape))


@dataclass(frozen=True)
class NativeSpaces:
    """Observations and actions of an environment in its own units."""

    parts: tuple[NativePart, ...]
    action: NativeAction
    notes: tuple[str, ...] = ()
    """How observations are made where that is not plain, for people."""

    def natively(self, seen: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """A batch ``[n, ...]`` as composer sees it, as arrays by the name of their part."""
        import numpy as np

        if len(self.parts) == 1:
            return {self.parts[0].name: self.parts[0].natively(seen)}
        cuts = np.cumsum([part.size for part in self.parts])[:-1]
        pieces = np.split(seen, cuts, axis=1)
        return {part.name: part.natively(piece) for part, piece in zip(self.parts, pieces, strict=True)}
