"""The small files in a run directory through which trainer and uploader communicate: each written whole, by rename.

- ``tracking.json``, by the trainer: the requested store and experiment, parameters, tags. No credentials.
- ``ended.json``, by the trainer: how the run ended, and when. Absent while it runs, and after a kill.
- ``mlflow.json``, by the uploader: the ids of the run in MLflow.
- ``upload.json``, by the uploader: the rows sent and acknowledged, by row number; the last error.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import TypeAdapter

from composer.spec import plugins
from composer.spec.errors import ComposerError
from composer.spec.interval import Bounds
from composer.spec.run_files import open_to_read, read_bytes, write_text
from composer.spec.wording import listing
from composer.tracking.base import Destination, Source, StoreRefused, Tracker
from composer.tracking.dataset import Dataset
from composer.tracking.project import ensure_admitted

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

RUN: Final = "run.json"
JOURNAL: Final = "journal.jsonl"
TIMING: Final = "timing.jsonl"
LOCK: Final = "upload.lock"
LOG: Final = "uploader.log"
ARTIFACTS: Final = (RUN, "blueprint.toml", "parameters.json")

EVERYTHING: Final = 2**62
"""A row number beyond all others: every row may already be in the store."""


class RecordDamaged(ComposerError):
    """A record that cannot be made again is damaged."""

    exit_code = 3


@dataclass
class Record:
    """A dataclass kept in one JSON file of the run directory, called ``file``."""

    file: ClassVar[str] = ""

    @classmethod
    def load(cls, run_dir: Path) -> Self | None:
        """The record, or None where it is absent or unreadable; each can be made again from the journal."""
        try:
            return TypeAdapter(cls).validate_json(read_bytes(run_dir / cls.file), strict=True)
        except (OSError, ValueError):
            return None

    def save(self, run_dir: Path) -> None:
        """Replace the file atomically: a reader sees the old one or the new one."""
        path = run_dir / self.file
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        write_text(temporary, json.dumps(asdict(self), indent=1) + "\n")
        temporary.replace(path)


@dataclass
class RunDescription:
    """What a store shows of a run beside its rows."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)
    """Those that are None are left out."""
    ranges: Mapping[str, Bounds] = field(default_factory=dict)
    """The lowest and the highest value of metrics by name, within which intervals over seeds stay."""
    headline: str = ""
    """The metric by which agents are compared, such as ``evaluation/return``."""
    metrics: Sequence[str] = ()
    """Names of all metrics that the run will write; ``*`` in one stands for any."""
    dataset: Dataset | None = None
    """What its agent learns from."""
    experiment: str = "composer"
    """Where it is shown, unless its blueprint names an experiment."""


@dataclass
class Tracking(Record):
    """The trainer's request. ``uri`` is None for the embedded store, and for a URI with credentials."""

    file = "tracking.json"
    uri: str | None
    """Databases within the project are relative to the run directory, and move with it."""
    source: Source
    experiment: str
    system_metrics: bool
    parameters: dict[str, Any]
    tags: dict[str, str]
    ranges: dict[str, list[float | None]] = field(default_factory=dict)
    """The lowest and the highest value of metrics by name; None where there is no bound."""
    headline: str = ""
    """The metric by which agents are compared, as the journal names it; empty in records of older versions."""
    metrics: list[str] = field(default_factory=list)
    """Names of all metrics that the run will write, as the journal and the blueprint name them."""
    dataset: Dataset | None = None
    """What the agent learns from; None in records of older versions."""
    kind: str = "mlflow"
    """The kind of tracker."""
    pictures: bool = False
    """Whether pictures of the run are drawn while it trains."""

    @classmethod
    def of(cls, said: RunDescription, tracker: Tracker, uri: str | None, source: Source) -> Self:
        """The request to show a run as ``said`` in the store of ``tracker``."""
        asked = tracker.request()
        return cls(
            uri=uri,
            source=source,
            experiment=asked.pop("experiment") or said.experiment,
            kind=tracker.kind,
            **asked,
            parameters=dict(said.parameters),
            tags={name: value for name, value in said.tags.items() if value is not None},
            ranges={
                name: [each if math.isfinite(each) else None for each in pair] for name, pair in said.ranges.items()
            },
            headline=said.headline,
            metrics=[*said.metrics],
            dataset=said.dataset,
        )

    def bounds(self) -> dict[str, Bounds]:
        """``ranges`` with infinity in place of None."""
        return {
            name: (-math.inf if low is None else low, math.inf if high is None else high)
            for name, (low, high) in self.ranges.items()
        }

    def tracker(self) -> type[Tracker]:
        """The kind of tracker, perhaps a plug-in's. Raises StoreRefused for one that is not installed."""
        found = Tracker.kinds().get(self.kind)
        if found is None and plugins.is_namespaced(self.kind):
            try:
                for name in plugins.distributions_of(self.kind):
                    plugins.load(name)
            except plugins.PluginError as error:
                raise StoreRefused(f"the tracker {self.kind!r} cannot be used: {error}") from None
            found = Tracker.kinds().get(self.kind)
        if found is None:
            known = listing(name for name in Tracker.kinds() if name != "none")
            raise StoreRefused(f"this composer has no tracker of kind {self.kind!r}; one of {known}")
        return found

    def destination(self, run_dir: Path) -> Destination:
        """The store of the run: the one in its blueprint, else that of the environment now, else that of then.

        Raises:
            StoreRefused: its URI was not recorded because it has credentials, and the environment names none now; or
                the record names a store that is refused, or that is outside of the project and not confirmed.
        """
        runs_dir, tracker, found = run_dir.resolve().parent, self.tracker(), None
        if self.source != "blueprint":
            found = tracker().destination(runs_dir)
            if found is None:
                raise StoreRefused(f"a tracker of kind {self.kind!r} keeps nothing")
        if found is None or (found.source == "embedded" and self.source == "environment"):
            if self.uri is None:
                raise StoreRefused("MLFLOW_TRACKING_URI named the store of this run, with credentials; set it again")
            try:
                found = tracker.recorded(self.uri, self.source, runs_dir, run_dir.resolve())
            except StoreRefused as refused:
                raise StoreRefused(f"{run_dir / self.file}: {refused}") from None
        ensure_admitted(found, [runs_dir.parent])
        return found


@dataclass
class Ended(Record):
    """How the run ended; ``time`` in milliseconds since the epoch."""

    file = "ended.json"
    status: RunStatus
    time: int


@dataclass
class StoredRun(Record):
    """The run in MLflow: the parent's id, and by seed, as a string, the child's."""

    file = "mlflow.json"
    tracking_uri: str
    experiment_id: str
    run_id: str
    children: dict[str, str]

    def ids(self) -> list[str]:
        """All run ids, the parent's first."""
        return [self.run_id, *self.children.values()]


@dataclass
class Upload(Record):
    """Progress by file and row number. Rows between ``acknowledged`` and ``sent`` may be in the store or not."""

    file = "upload.json"
    tracking_uri: str
    acknowledged: dict[str, int] = field(default_factory=lambda: {JOURNAL: 0, TIMING: 0})
    sent: dict[str, int] = field(default_factory=lambda: {JOURNAL: 0, TIMING: 0})
    described: bool = False
    status: str = "RUNNING"
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    """What was found or mended in the store, for people."""


def count_rows(run_dir: Path) -> int:
    """Rows of the journal and of the timing journal."""
    return sum(_lines(run_dir / name) for name in (JOURNAL, TIMING))


def pending(run_dir: Path) -> int:
    """Rows that no store has acknowledged yet."""
    upload = Upload.load(run_dir)
    return max(0, count_rows(run_dir) - (sum(upload.acknowledged.values()) if upload else 0))


def _lines(path: Path) -> int:
    try:
        with open_to_read(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except (OSError, ValueError):
        return 0
