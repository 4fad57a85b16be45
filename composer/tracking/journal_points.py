"""One journal as the uploader reads it: rows as points, in order, without the acknowledged ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from composer.tracking.journal import JournalRow, Reader
from composer.tracking.points import Point


class Pointing(Protocol):
    """Makes points of a journal's rows, from its first one, in order: each (run, name, step) once."""

    def of(self, row: JournalRow) -> Iterable[Point]:
        """The points of the next row, and those that it completes."""


class JournalPoints:
    """Follows a growing journal. ``times`` maps environment steps to milliseconds, where rows have a ``time``."""

    def __init__(self, path: Path, points: Pointing, acknowledged: int) -> None:
        """``points`` has seen no row yet. Rows up to number ``acknowledged`` are not given."""
        self.path = path
        self.times: dict[int, int] = {}
        self._reader, self._points = Reader(path), points
        self._read = acknowledged
        self._waiting: deque[tuple[int, list[Point]]] = deque()

    def pull(self, limit: int) -> None:
        """Read on until about ``limit`` points wait, or the present end of the journal."""
        waiting = sum(len(points) for _, points in self._waiting)
        for row in self._reader:
            # Acknowledged rows are read too: means and counts depend on all earlier rows.
            points = list(self._points.of(row))
            if "time" in row:
                self.times.setdefault(row["env_step"], int(row["time"] * 1000))
            if row["seq"] > self._read:
                self._read = row["seq"]
                self._waiting.append((row["seq"], points))
                waiting += len(points)
            if waiting >= limit:
                return

    def take(self, limit: int) -> list[tuple[int, list[Point]]]:
        """Remove the first waiting rows, up to ``limit`` points but at least one row: (row number, points)."""
        taken: list[tuple[int, list[Point]]] = []
        room = limit
        while self._waiting and (room >= len(self._waiting[0][1]) or not taken):
            taken.append(self._waiting.popleft())
            room -= len(taken[-1][1])
        return taken

    @property
    def problem(self) -> str | None:
        """Why reading stopped before the end of the file; None where it did not."""
        return self._reader.problem and f"{self.path.name}: {self._reader.problem}"
