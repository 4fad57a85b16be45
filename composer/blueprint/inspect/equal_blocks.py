"""Equal blocks in a row told as one, with how many there are: in trees of text and in figures.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from composer.networks.outline import Outline


class Run(NamedTuple):
    """Blocks in a row that are equal in everything: kind, shapes, parameters, initialisers, children."""

    names: tuple[str, ...]
    outline: Outline

    @property
    def label(self) -> str:
        """``0``, or ``0..11``."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]}..{self.names[-1]}"


def runs(children: Mapping[str, Outline]) -> Iterator[Run]:
    """The children in order, equal neighbours together; those that have names, not numbers, each alone."""
    names: list[str] = []
    last: Outline | None = None
    for name, child in children.items():
        if last is not None and (child != last or not name.isdigit()):
            yield Run(tuple(names), last)
            names = []
        names.append(name)
        last = child
    if last is not None:
        yield Run(tuple(names), last)
