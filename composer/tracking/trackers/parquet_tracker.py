"""Parquet files as a tracker. Tests: tests/tracking/trackers/test_rows.py."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.tracking.base import Destination
from composer.tracking.trackers.folder import ValueFilesTracker

if TYPE_CHECKING:
    from composer.tracking.store import Store


class ParquetTracker(ValueFilesTracker, kind="parquet"):
    """Parquet files: ``EXPERIMENT/RUN.parquet``, written when the run ends; every value of the journal is a row."""

    product: ClassVar[str] = "Parquet files"
    example: ClassVar[Mapping[str, Any]] = {"kind": "parquet", "experiment": "norms"}

    @override
    @classmethod
    def opening(cls, destination: Destination) -> str | None:
        return f"Parquet files in {destination.folder}: pandas.read_parquet reads one, or a folder of them"

    @override
    @classmethod
    def opened(cls, destination: Destination) -> AbstractContextManager[Store]:
        from composer.tracking.trackers.parquet_store import ParquetStore

        return closing(ParquetStore(destination))
