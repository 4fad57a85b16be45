"""What trackers that write files share: which folder a run goes to. Every command imports this: nothing of theirs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from composer.tracking.base import EXPERIMENT, Destination, Source, StoreRefused, Tracker

if TYPE_CHECKING:
    from composer.spec.interval import Bounds
    from composer.tracking.journal_points import Pointing


class FolderTracker(Tracker, abstract=True):
    """A store of files in a folder, by default one called like the kind next to the runs directory."""

    place = "directory"
    needs: ClassVar[str] = ""
    """The package that writes the files, and the extra that installs it; empty where composer always has it."""

    directory: str | None = Field(default=None, min_length=1, max_length=1_000)
    """Folder of the files, relative to the working folder. Absent: one called like the kind, next to the runs
    directory."""
    experiment: str | None = Field(default=None, pattern=EXPERIMENT)
    """Name of the folder within it that has the run's files. Absent: the study's name for a run of a study, else that
    of the folder in which the runs directory is."""

    @override
    def destination(self, runs_dir: Path, environment: Mapping[str, str] = os.environ) -> Destination:
        """The folder that the blueprint names, else the one next to ``runs_dir``; no variable names one."""
        if self.directory is None:
            return self._at(runs_dir.absolute().parent / self.kind, "embedded")
        if "\0" in self.directory:
            raise StoreRefused("tracking.directory: a path has no NUL character")
        return self._at(Path.cwd() / self.directory, "blueprint")

    @override
    @classmethod
    def recorded(cls, uri: str, source: Source, runs_dir: Path, run_dir: Path) -> Destination:
        scheme, separator, path = uri.partition(":")
        if scheme != cls.kind or not separator or not path or "\0" in path:
            raise StoreRefused(f"{uri!r} names no folder of {cls.product}")
        return cls._at(run_dir / path, source)

    @classmethod
    def _at(cls, folder: Path, source: Source) -> Destination:
        found = find_spec(cls.needs) if cls.needs else None
        if cls.needs and (found is None or found.origin is None):
            extra = f'pip install "rl-composer[{cls.needs}]"'
            raise StoreRefused(f"a tracker of kind {cls.kind!r} needs a package that is not installed: {extra}")
        absolute = Path(os.path.normpath(folder))
        return Destination(f"{cls.kind}:{absolute}", source, folder=absolute)

    @override
    def request(self) -> dict[str, Any]:
        return {"experiment": self.experiment, "system_metrics": False}


class ValueFilesTracker(FolderTracker, abstract=True):
    """Files of every value of a journal, by the journal's names."""

    @override
    @classmethod
    def points(cls, seeds: Sequence[int], ranges: Mapping[str, Bounds], metric: str) -> Pointing:
        from composer.tracking.trackers.values import Values

        return Values()
