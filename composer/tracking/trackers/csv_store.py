"""The store of the tracker ``csv``. Tests: tests/tracking/trackers/test_rows.py."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import override

from composer.tracking.trackers.rows import RowsFolder
from composer.tracking.trackers.run_cards import Part


class CsvStore(RowsFolder):
    """A file of rows for each run, beside those of the other runs of its experiment."""

    @override
    def rows_path(self, parent: Part) -> Path:
        return self.folder / parent.experiment / f"{parent.run}.csv"
