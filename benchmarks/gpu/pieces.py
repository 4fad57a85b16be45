"""What a piece of the suite is: a name, what it shows, and a function that finds it out.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from composer.spec.wording import suggestion

if TYPE_CHECKING:
    from benchmarks.gpu.setting import Setting

Row = dict[str, Any]
"""One line of a table: plain values by column; None is a gap."""

_ROOMS: Final = (
    "equivalence",
    "interventions",
    "resuming",
    "hygiene",
    "speed",
    "seeds",
    "fleets",
    "startup",
    "learning",
)
"""In the order in which they are run: what is wrong is found before it is timed."""


class Skipped(RuntimeError):
    """A piece cannot be run here; the message says what is missing."""


@dataclass(frozen=True)
class Check:
    """One number that is held to a limit."""

    name: str
    value: float
    limit: float
    """The largest value that passes."""

    @property
    def passed(self) -> bool:
        """Whether it holds; a value that is not a number does not."""
        return self.value <= self.limit

    def table(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.name, "value": self.value, "limit": self.limit, "passed": self.passed}


@dataclass
class Findings:
    """What a piece found."""

    checks: list[Check] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished: bool = True
    """Whether there is nothing left to do for another call."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """More for whoever reads the JSON."""
    errors: list[str] = field(default_factory=list)
    """What was raised by single parts of the piece."""

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """One part of the piece: what it raises fails the piece, and hides no other part."""
        try:
            yield
        except Exception as error:
            self.errors.append(f"{name}: {told(error)}")


@dataclass(frozen=True)
class Piece:
    """One piece."""

    name: str
    shows: str
    """What its result says, in words for the page."""
    run: Callable[[Setting], Findings]


def told(error: Exception) -> str:
    """An error in a line, with the function that raised it and no path of this machine."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (in {Path(frames[-1].filename).stem}.{frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}{where}"


def pieces() -> dict[str, Piece]:
    """All of them by name, in the order in which they are run."""
    found: list[Piece] = []
    for room in _ROOMS:
        found += import_module(f"benchmarks.gpu.{room}").PIECES
    return {piece.name: piece for piece in found}


def chosen(names: list[str] | None) -> list[Piece]:
    """The pieces of these names, all without; LookupError names what there is none of."""
    known = pieces()
    for name in names or ():
        if name not in known:
            raise LookupError(f"no piece named {name!r}{suggestion(name, known)}")
    return [piece for name, piece in known.items() if names is None or name in names]


def require(*modules: str) -> None:
    """Raise Skipped where a module is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise Skipped(f"needs {module}")
