"""What the uploader needs of a tracking store: a new kind of tracker brings one class with these calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from composer.spec.errors import ComposerError
from composer.tracking.dataset import Dataset
from composer.tracking.page.facts import PageFacts
from composer.tracking.points import Point


class StoreError(ComposerError):
    """The tracking store cannot be used as it is; the message says what to do. A later attempt may succeed."""

    exit_code = 3


class Store(Protocol):
    """An open store of runs: a parent run and a run per seed. Any call may raise what disks and networks raise.

    A point is acknowledged once ``log_points`` has returned: it must then survive ``kill -9``. Points that were given
    before a kill are asked for by ``steps``, so that none is given twice.
    """

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, made where it is absent."""

    def find_run(self, experiment_id: str, tags: Mapping[str, str]) -> str | None:
        """Id of the run with these tags, such as a killed uploader left it; None where there is none."""

    def has_other(self, experiment_id: str, tags: Mapping[str, str], name: str, value: str) -> bool:
        """Whether a run has these tags, and another value of the tag ``name``; False where tags are not searched."""

    def tag(self, run_id: str, name: str) -> str | None:
        """A tag of a run; None where it has none of this name."""

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int) -> str:
        """Make a run and return its id; ``start_time`` in milliseconds since the epoch."""

    def revive(self, run_id: str) -> Literal["active", "restored"] | None:
        """Find a run, and restore it if it was deleted; None where it is gone."""

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Keep parameters. Logging the same again changes nothing."""

    def log_dataset(self, run_ids: Sequence[str], dataset: Dataset) -> None:
        """Say what runs learn from, where a store has a place for it. Repeating it changes nothing."""

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, in place of an older one of its name; a store of numbers keeps none."""

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        """Show a PNG under ``key`` at ``step``; a store of numbers keeps none."""

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        """Key and step of every picture."""

    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        """Add points with their times, in milliseconds since the epoch."""

    def steps(self, run_id: str, name: str) -> set[int]:
        """Steps at which the store already has this metric."""

    def set_tag(self, run_id: str, name: str, text: str) -> None:
        """Set a tag."""

    def set_status(self, run_id: str, status: str, end_time: int | None = None) -> None:
        """Set RUNNING, or a final status with its time in milliseconds."""

    def arrange(self, experiment_id: str, run_ids: Sequence[str], facts: PageFacts) -> None:
        """Prepare the store's page of an experiment for the runs with these ids, the parent's first; it may have none.

        ``facts`` are those of the runs. Repeating it changes nothing.
        """

    def log_models(
        self, experiment_id: str, run_id: str, metric: str, folders: Sequence[str], tags: Mapping[str, str]
    ) -> None:
        """Make the best and the last of the checkpoints ``folders`` models, ranked by ``metric`` of the parent run."""

    def why(self, error: Exception) -> str:
        """An error of this store in words, without credentials."""
