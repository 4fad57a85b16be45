"""What a kind says of the metrics that it writes, before anything runs.

An algorithm, an environment and a measure each declare theirs; ``composer.blueprint.forecast.metrics`` joins them for a
blueprint, and a run writes no other. Tests: tests/blueprint/test_metrics.py.
"""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

_WORDS: Final = {"r_squared": "R²"}


class Metric(NamedTuple):
    """A metric by its name in the journal; ``*`` in a name stands for what only a run can tell."""

    name: str
    meaning: str
    """One line."""
    unit: str = ""
    """Empty for numbers of no unit."""
    low: float = -math.inf
    """The lowest value that it can have."""
    high: float = math.inf
    """The highest value that it can have."""
    condition: str = ""
    """Where a row may lack it: when it is written; empty where every row has it."""

    @property
    def word(self) -> str:
        """What people call it: ``return``, ``accuracy``, ``R²``."""
        return word(self.name)

    def is_named(self, name: str) -> bool:
        """Whether ``name`` is a name of this metric."""
        return name == self.name or ("*" in self.name and fnmatchcase(name, self.name))


def word(name: str) -> str:
    """What people call the metric of a name: ``return`` of ``evaluation/return``."""
    last = name.rpartition("/")[2]
    return _WORDS.get(last, last.replace("_", " "))


def loss(name: str, of: str, low: float = 0.0, condition: str = "") -> Metric:
    """A loss of at least ``low``."""
    return Metric(name, of, "loss", low, condition=condition)
