"""Elements of a figure: boxes, wires, joins, frames and texts, positioned in points, y downwards.

A sketch is one piece of a figure. Its input arrives at the top of its axis, its output leaves at the bottom of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self

Tone = Literal["weights", "vectors", "plain"]
"""The parameters of a box: weights with several axes; only gains, shifts and scales; none."""
Style = Literal["title", "subtitle", "caption", "shape", "times", "legend"]
Point = tuple[float, float]


@dataclass(frozen=True)
class _Positioned:
    """An element at a position."""

    x: float
    y: float

    def moved(self, dx: float, dy: float) -> Self:
        """The same element elsewhere."""
        return replace(self, x=self.x + dx, y=self.y + dy)


@dataclass(frozen=True)
class Box(_Positioned):
    """One operation: its name, and how many parameters it has."""

    width: float
    height: float
    name: str
    detail: str
    tone: Tone
    is_frozen: bool = False
    marks: tuple[int, ...] = ()
    """Numbers of the changes that touch its parameters."""


@dataclass(frozen=True)
class Mark(_Positioned):
    """A number in a circle: the change that the legend explains. The place is its centre."""

    number: int


@dataclass(frozen=True)
class Frame(_Positioned):
    """A rounded outline around a part of the figure."""

    width: float
    height: float
    is_dashed: bool


@dataclass(frozen=True)
class Wire:
    """A line through points, with an arrow head at its end or without."""

    points: tuple[Point, ...]
    has_head: bool

    def moved(self, dx: float, dy: float) -> Wire:
        """The same wire elsewhere."""
        return replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))


@dataclass(frozen=True)
class Join(_Positioned):
    """Where paths meet: ``+`` and ``×`` in a circle, another sign in a pill of ``width``. The place is its centre."""

    width: float
    height: float
    sign: str


@dataclass(frozen=True)
class Text(_Positioned):
    """A line of text; ``x`` is its left end or its middle."""

    text: str
    style: Style
    is_centred: bool = False


Element = Box | Mark | Frame | Wire | Join | Text


@dataclass(frozen=True)
class Sketch:
    """Elements between 0 and ``width``, 0 and ``height``."""

    width: float
    height: float
    axis: float
    """Where input arrives and output leaves."""
    elements: tuple[Element, ...]
    takes_head: bool = True
    """Whether the wire to it ends in an arrow head: not where a wire of its own goes on."""
    overhang: float | None = None
    """Where it has drawn its outputs itself, so that no wire follows: how far those reach, out of any frame."""

    @property
    def is_open(self) -> bool:
        """Whether it has drawn its outputs itself."""
        return self.overhang is not None

    @property
    def right(self) -> float:
        """From the axis to the right edge."""
        return self.width - self.axis

    def moved(self, dx: float, dy: float) -> tuple[Element, ...]:
        """Its elements elsewhere."""
        return tuple(element.moved(dx, dy) for element in self.elements)


def boxes(elements: Iterable[Element]) -> list[Box]:
    """The boxes alone."""
    return [element for element in elements if isinstance(element, Box)]
