"""CSV files as a tracker. Tests: tests/tracking/trackers/test_rows.py."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.tracking.base import Destination
from composer.tracking.trackers.folder import ValueFilesTracker

if TYPE_CHECKING:
    from composer.tracking.store import Store


class CsvTracker(ValueFilesTracker, kind="csv"):
    """CSV files: ``EXPERIMENT/RUN.csv``, which grows while the run trains; every value of the journal is a row."""

    product: ClassVar[str] = "CSV files"
    example: ClassVar[Mapping[str, Any]] = {"kind": "csv", "directory": "results/csv"}

    @override
    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        return f"CSV files in {destination.folder}"

    @override
    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        from composer.tracking.trackers.csv_store import CsvStore

        return closing(CsvStore(destination))
