"""The pieces of the suite: each has a name, a description and a function that measures it.

Tests: tests/benchmarks/test_gpu.py.
"""

from __future__ import annotations

import math
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
    "populations",
    "startup",
    "learning",
)
"""In the order of execution, behind FIRST: correctness before speed."""

FIRST: Final = {
    "capturing-heads": 4.0,
    "speed-mlp": 2.0,
    "speed-simba": 2.0,
    "seeds-simba": 3.0,
    "learning-hopper-hop": math.inf,
}
"""The pieces that come first, with the minutes that each may take: what a GPU that is lent for a quarter of an hour
should tell. Equal numbers, the speed of one agent, how it grows with seeds; and a curve for the rest of the time."""


class Skipped(RuntimeError):
    """A piece cannot be run here; the message says what is missing."""


@dataclass(frozen=True)
class Check:
    """A number with its limit."""

    name: str
    value: float
    limit: float
    """The largest value that passes."""

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit; NaN is not."""
        return self.value <= self.limit

    def table(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, "value": self.value, "limit": self.limit, "passed": self.passed}


@dataclass
class Findings:
    """The result of a piece."""

    checks: list[Check] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished: bool = True
    """Whether no other call is needed."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """More data for readers of the JSON."""
    errors: list[str] = field(default_factory=list)
    """Errors of single parts of the piece."""

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Run one part: its error fails the piece, and the other parts still run."""
        try:
            yield
        except Exception as error:
            self.errors.append(f"{name}: {told(error)}")


@dataclass(frozen=True)
class Piece:
    """A piece of the suite."""

    name: str
    shows: str
    """What the result shows, for the page."""
    run: Callable[[Setting], Findings]

    @property
    def minutes(self) -> float:
        """The longest time that it may take."""
        return FIRST.get(self.name, math.inf)


def told(error: Exception) -> str:
    """An error in a line, with the function that raised it and no path of this machine."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" (in {Path(frames[-1].filename).stem}.{frames[-1].name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}{where}"


def pieces() -> dict[str, Piece]:
    """All pieces by name, in the order of execution."""
    found: list[Piece] = []
    for room in _ROOMS:
        found += import_module(f"benchmarks.gpu.{room}").PIECES
    named = {piece.name: piece for piece in found}
    return {name: named[name] for name in FIRST} | named


def chosen(names: list[str] | None) -> list[Piece]:
    """The pieces of these names, or all of them; LookupError for an unknown name."""
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
