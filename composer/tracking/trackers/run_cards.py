"""The runs in a folder of a tracker: what is known of each besides its rows, in ``EXPERIMENT/.runs/RUN/run.json``.

A run has the id ``EXPERIMENT/RUN``, its part of one seed ``EXPERIMENT/RUN/SEED``. Tests: tests/tracking/trackers/.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from composer.spec.run_files import open_to_write
from composer.tracking.base import Destination
from composer.tracking.experiment import experiment_name
from composer.tracking.page.facts import PageFacts
from composer.tracking.points import PARENT, Point
from composer.tracking.project import MARK
from composer.tracking.records import Record
from composer.tracking.store import StoreError

HIDDEN: Final = ".runs"
"""The folder of what programs keep. Readers of a folder of Parquet files leave out names that begin with a point."""


@dataclass
class RunCard(Record):
    """A run, with the tags of its parts: ``parent``, and by seed."""

    file = "run.json"
    started: int
    """Milliseconds since the epoch."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"
    ended: int | None = None

    @property
    def texts(self) -> tuple[str, str, str]:
        """Name, agent and task of the run, as ``composer.read`` gives them."""
        tags = self.tags.get(PARENT, {})
        return tags.get("composer.run_id", ""), tags.get("agent", ""), tags.get("task", "")


class Part(NamedTuple):
    """One part of a run: of a seed, or ``parent``."""

    experiment: str
    run: str
    role: str

    @property
    def id(self) -> str:
        """The id in the store."""
        return "/".join(self[:2] if self.role == PARENT else self)

    @classmethod
    def of(cls, run_id: str) -> Part:
        """The part with this id. Raises StoreError for text that is none, such as from a damaged record."""
        names = run_id.split("/")
        if not 2 <= len(names) <= 3 or any(experiment_name(name) != name for name in names):
            raise StoreError(f"{run_id!r} is no run of this store")
        return cls(names[0], names[1], names[2] if len(names) == 3 else PARENT)


class RunFolder(ABC):
    """The calls of ``Store`` that are the same for every tracker of files; a tracker adds rows and pictures."""

    def __init__(self, destination: Destination) -> None:
        """Make the folder of the store where it is absent, with the mark that composer has made it."""
        assert destination.folder is not None
        self.folder = folder = destination.folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARK).exists():
            os.close(open_to_write(folder / MARK))

    @abstractmethod
    def has_files(self, part: Part) -> bool:
        """Whether what ``begin`` made of a part is still there."""

    @abstractmethod
    def begin(self, part: Part, card: RunCard) -> None:
        """Make the files of a part. Repeating it changes nothing."""

    def finish(self, part: Part, card: RunCard) -> None:
        """Write what is written at the end of the run, whose parent ``part`` is; rows may follow all the same."""
        return

    @abstractmethod
    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        """As ``Store`` says."""

    @abstractmethod
    def steps(self, run_id: str, name: str) -> set[int]:
        """As ``Store`` says."""

    def kept(self, part: Part) -> Path:
        """The folder of the card of a part's run, which may be absent."""
        return self.folder / part.experiment / HIDDEN / part.run

    def card(self, part: Part) -> RunCard:
        """What is known of the run of a part. Raises StoreError where its card is gone."""
        found = RunCard.load(self.kept(part))
        if found is None:
            raise StoreError(f"{self.kept(part) / RunCard.file} is absent or damaged: composer sync writes it again")
        return found

    def experiment(self, name: str) -> str:
        """The folder of an experiment."""
        return experiment_name(name)

    def find_run(self, experiment_id: str, tags: Mapping[str, str]) -> str | None:
        """Id of the part that was made with these tags, which are ``composer.role`` and what names the run."""
        part = self._named(experiment_id, tags)
        return part.id if self.revive(part.id) else None

    def has_other(self, experiment_id: str, tags: Mapping[str, str], name: str, value: str) -> bool:
        """Whether a run of the experiment has these tags, and another value of the tag ``name``."""
        cards = (RunCard.load(path) for path in sorted((self.folder / experiment_id / HIDDEN).glob("*")))
        found = [card.tags.get(PARENT, {}) for card in cards if card is not None]
        return any(tags.items() <= each.items() and each.get(name, value) != value for each in found)

    def tag(self, run_id: str, name: str) -> str | None:
        """A tag of a part."""
        part = Part.of(run_id)
        return self.card(part).tags.get(part.role, {}).get(name)

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int) -> str:
        """Make a part of a run."""
        part = self._named(experiment_id, tags)
        card = RunCard.load(self.kept(part)) or RunCard(start_time)
        card.tags[part.role] = dict(tags)
        self._save(part, card)
        self.begin(part, card)
        return part.id

    def revive(self, run_id: str) -> Literal["active"] | None:
        """Whether the store has the part; None where it is gone."""
        try:
            part = Part.of(run_id)
            return "active" if part.role in self.card(part).tags and self.has_files(part) else None
        except StoreError:
            return None

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Keep the parameters of the run."""
        part = Part.of(run_id)
        if part.role == PARENT:
            card = self.card(part)
            card.parameters |= parameters
            self._save(part, card)

    def set_tag(self, run_id: str, name: str, text: str) -> None:
        """Set a tag of a part."""
        part = Part.of(run_id)
        card = self.card(part)
        card.tags[part.role][name] = text
        self._save(part, card)

    def set_status(self, run_id: str, status: str, end_time: int | None = None) -> None:
        """Keep the status of the run; a final one writes what is written at its end."""
        part = Part.of(run_id)
        if part.role == PARENT:
            card = self.card(part)
            card.status, card.ended = status, end_time
            if end_time is not None:
                self.finish(part, card)
            self._save(part, card)

    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Files stay in the run directory."""
        return

    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        """Pictures stay in the run directory."""
        return

    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        """Key and step of every picture."""
        return set()

    def arrange(self, experiment_id: str, run_ids: Sequence[str], facts: PageFacts) -> None:
        """There is no page to prepare."""
        return

    def log_dataset(self, *_: Any) -> None:
        """The run directory says what the run learns from."""
        return

    def log_models(self, *_: Any) -> None:
        """Checkpoints stay in the run directory."""
        return

    def why(self, error: Exception) -> str:
        """An error in words."""
        return f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Close the files."""
        return

    def _named(self, experiment_id: str, tags: Mapping[str, str]) -> Part:
        """The part with these tags, made or not; a report of a study has no run."""
        role = tags["composer.role"]
        run = tags.get("composer.run_id") or f"{tags.get('study', '')} {role}"
        return Part.of(f"{experiment_id}/{experiment_name(run)}/{role}")

    def _save(self, part: Part, card: RunCard) -> None:
        folder = self.kept(part)
        folder.mkdir(parents=True, exist_ok=True)
        card.save(folder)
