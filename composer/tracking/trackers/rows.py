"""Rows of runs as CSV, one append-only file a run: it survives ``kill -9``, and no row is in it twice.

A kill in the middle of a row leaves a torn one at the end, which is cut off before the next row is added.
Tests: tests/tracking/trackers/test_rows.py.
"""

from __future__ import annotations

import csv
import io
import os
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from typing_extensions import override

from composer.spec.run_files import open_to_read, open_to_write, write_at
from composer.tracking.base import Destination
from composer.tracking.points import PARENT, Point
from composer.tracking.store import StoreError
from composer.tracking.trackers.run_cards import Part, RunCard, RunFolder

COLUMNS: Final = ("run", "agent", "task", "seed", "env_step", "metric", "value", "time")
"""Columns of the file, called as those of ``composer.read``."""
BLOCK: Final = 1 << 16

Texts = tuple[str, str, str]
"""The first three columns, equal in every row of a file."""


class Row(NamedTuple):
    """One row. ``seed`` is None in rows of no seed; ``time`` in milliseconds since the epoch."""

    seed: int | None
    step: int
    metric: str
    value: float
    time: int


def encoded(rows: Iterable[Row], texts: Texts) -> bytes:
    """Rows as lines of the file. Floats are written by ``repr``: reading gives the same bits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        moment = datetime.fromtimestamp(row.time / 1000, UTC).isoformat(timespec="milliseconds")
        seed = "" if row.seed is None else row.seed
        writer.writerow((*texts, seed, row.step, row.metric, repr(row.value), moment.replace("+00:00", "Z")))
    return text.getvalue().encode("utf-8", "backslashreplace")


def header() -> bytes:
    """The first line of the file."""
    return (",".join(COLUMNS) + "\n").encode()


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file without a torn one. Raises StoreError where a line is no row, and OSError."""
    with io.TextIOWrapper(open_to_read(path), encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        try:
            if tuple(next(lines, ())) != COLUMNS:
                raise ValueError
            for _, _, _, seed, step, metric, value, moment in lines:
                time = round(datetime.fromisoformat(moment).timestamp() * 1000)
                yield Row(int(seed) if seed else None, int(step), metric, float(value), time)
        except (ValueError, csv.Error):
            problem = f"{path}: line {max(1, lines.line_num)} is no row that composer wrote"
            raise StoreError(f"{problem}; move the file away, and composer sync writes it anew") from None


class RowsFile:
    """One file, open to add rows. It must have one writer."""

    def __init__(self, path: Path, texts: Texts) -> None:
        self.path, self._texts = path, texts
        self._file = open_to_write(path)
        self._size = _whole_lines(self._file)
        os.ftruncate(self._file, self._size)
        self._steps: dict[tuple[int | None, str], set[int]] | None = None
        if self._size == 0:
            self._write(header())

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows; they survive a kill once this has returned. Raises OSError; then open the file anew."""
        self._write(encoded(rows, self._texts))

    def steps(self, seed: int | None, metric: str) -> set[int]:
        """Steps at which the file had this metric when it was first asked."""
        if self._steps is None:
            self._steps = defaultdict(set)
            for row in read_rows(self.path):
                self._steps[row.seed, row.metric].add(row.step)
        return self._steps.get((seed, metric), set())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, content: bytes) -> None:
        write_at(self._file, content, self._size)
        self._size += len(content)


def _whole_lines(file: int) -> int:
    """Bytes of a file up to the end of its last whole line."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class RowsFolder(RunFolder):
    """A store whose rows are in one file a run."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination)
        self._files: dict[Part, RowsFile] = {}

    @abstractmethod
    def rows_path(self, parent: Part) -> Path:
        """The file with the rows of a run."""

    @override
    def has_files(self, part: Part) -> bool:
        return self.rows_path(part).is_file()

    @override
    def begin(self, part: Part, card: RunCard) -> None:
        self.opened(part)

    def opened(self, part: Part) -> RowsFile:
        """The file with the rows of a part's run, made where it is absent."""
        parent = part._replace(role=PARENT)
        if parent not in self._files:
            path = self.rows_path(parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[parent] = RowsFile(path, self.card(parent).texts)
        return self._files[parent]

    def closed(self, parent: Part) -> None:
        """Close the file of a run."""
        if parent in self._files:
            self._files.pop(parent).close()

    @override
    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        part = Part.of(run_id)
        seed = _seed(part)
        self.opened(part).append([Row(seed, point.step, point.name, point.value, time) for point, time in points])

    @override
    def steps(self, run_id: str, name: str) -> set[int]:
        part = Part.of(run_id)
        return self.opened(part).steps(_seed(part), name)

    @override
    def close(self) -> None:
        for parent in list(self._files):
            self.closed(parent)


def _seed(part: Part) -> int | None:
    return None if part.role == PARENT else int(part.role)
