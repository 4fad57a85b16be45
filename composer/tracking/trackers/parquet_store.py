"""The store of the tracker ``parquet``: a Parquet file cannot grow, so rows wait in a CSV file until the run ends.

The Parquet file then replaces it, by rename. A run that continues gets its rows back first. Whenever both files are
there, the rows of the CSV file count: it has all of them. Tests: tests/tracking/trackers/test_rows.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from composer.tracking.trackers.rows import COLUMNS, Row, RowsFile, RowsFolder, Texts, encoded, header, read_rows
from composer.tracking.trackers.run_cards import Part, RunCard

ROWS: Final = "rows.csv"


class ParquetStore(RowsFolder):
    """A Parquet file for each run that has ended, beside those of the other runs of its experiment."""

    @override
    def rows_path(self, parent: Part) -> Path:
        return self.kept(parent) / ROWS

    @override
    def has_files(self, part: Part) -> bool:
        return super().has_files(part) or self._parquet(part).is_file()

    @override
    def opened(self, part: Part) -> RowsFile:
        path, done = self.rows_path(part), self._parquet(part)
        if not path.exists() and done.is_file():
            temporary = path.with_name(f".{ROWS}")
            temporary.write_bytes(header() + encoded(_rows(done), self.card(part).texts))
            temporary.replace(path)
        return super().opened(part)

    @override
    def finish(self, part: Part, card: RunCard) -> None:
        path, done = self.rows_path(part), self._parquet(part)
        self.closed(part)
        if path.exists():
            temporary = done.with_name(f".{done.name}")
            _write(temporary, read_rows(path), card.texts)
            temporary.replace(done)
            path.unlink()

    def _parquet(self, part: Part) -> Path:
        return self.folder / part.experiment / f"{part.run}.parquet"


def _write(path: Path, rows: Iterable[Row], texts: Texts) -> None:
    """Write a table of the columns of ``composer.read``, of the types that pandas has there."""
    import pyarrow as pa
    from pyarrow import parquet

    untyped: Any = pa
    found = list(rows)
    seeds, steps, metrics, values, times = zip(*found, strict=True) if found else ((),) * len(Row._fields)
    count = len(found)
    categories = [untyped.array([text] * count, untyped.string()).dictionary_encode() for text in texts]
    columns = [
        *categories,
        untyped.array(seeds, untyped.int64()),
        untyped.array(steps, untyped.int64()),
        untyped.array(metrics, untyped.string()).dictionary_encode(),
        untyped.array(values, untyped.float64()),
        untyped.array(times, untyped.timestamp("ms", "UTC")),
    ]
    parquet.write_table(untyped.table(columns, names=list(COLUMNS)), path)


def _rows(path: Path) -> Iterable[Row]:
    """The rows of a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    untyped: Any = pa
    table = parquet.read_table(path)
    seeds, steps, metrics, values = (table[name].to_pylist() for name in ("seed", "env_step", "metric", "value"))
    times = table["time"].cast(untyped.int64()).to_pylist()
    return map(Row, seeds, steps, metrics, values, times)
