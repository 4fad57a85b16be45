"""Group consecutive equal blocks, so that trees and figures show them once with their number.

Tests: tests/blueprint/test_show.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from composer.networks.outline import Outline


class BlockGroup(NamedTuple):
    """Consecutive blocks that are equal in kind, shapes, parameters, initialisers and children."""

    names: tuple[str, ...]
    outline: Outline

    @property
    def label(self) -> str:
        """``0``, or ``0..11``."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]}..{self.names[-1]}"


def grouped(
    children: Mapping[str, Outline], beside: Callable[[str], Hashable] = lambda name: None
) -> Iterator[BlockGroup]:
    """The children in order, equal neighbours in one group; children with names, not numbers, are groups of one.

    ``beside`` gives, by a child's name, what has to be equal too.
    """

    def key(item: tuple[str, Outline]) -> tuple[Outline, str, Hashable]:
        return item[1], "" if item[0].isdigit() else item[0], beside(item[0])

    for (outline, _, _), group in groupby(children.items(), key):
        yield BlockGroup(tuple(name for name, _ in group), outline)
