"""Lines on the firings of interventions: the first ones each, later ones summed up.

Tests: tests/tracking/test_console.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

TOLD: Final = 3
"""So many firings of an intervention have lines of their own."""
FIRST_SECONDS: Final = 60.0
"""Later ones are summed up after so long, and then after twice as long each time."""


@dataclass
class _Name:
    told: int = 0
    waiting: int = 0
    step: int = 0
    due: float = 0.0
    pause: float = FIRST_SECONDS


class FiringLines:
    """What is to be said of each intervention by name and what it is about."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing has fired."""
        self._clock = clock
        self._names: dict[tuple[str, str], _Name] = {}

    def add(self, env_step: int, name: str, about: str, count: int) -> str:
        """Count firings; returns the line of one that has one."""
        known = self._names.setdefault((name, about), _Name())
        if count == 1 and known.told < TOLD and not known.waiting:
            known.told += 1
            known.due = self._clock() + known.pause
            more = "; later firings are summed up" if known.told == TOLD else ""
            return f"step {env_step:,}: {_called(name, about)} fired{more}"
        known.waiting, known.step = known.waiting + count, env_step
        return ""

    def due(self, is_last: bool) -> Iterator[str]:
        """A line for each intervention whose later firings were not told for long; at the end of all of them."""
        for (name, about), known in self._names.items():
            if known.waiting and (is_last or self._clock() >= known.due):
                times = "once more" if known.waiting == 1 else f"{known.waiting:,} times more"
                times = times if known.told else times.removesuffix(" more").replace("once more", "once")
                yield f"step {known.step:,}: {_called(name, about)} fired {times}"
                known.told, known.waiting = max(known.told, TOLD), 0
                known.pause *= 2
                known.due = self._clock() + known.pause


def _called(name: str, about: str) -> str:
    return f"{name} ({about})" if about else name
