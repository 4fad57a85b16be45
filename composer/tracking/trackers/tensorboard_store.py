"""The store of the tracker ``tensorboard``: event files, written without TensorFlow.

Every uploader writes files of its own, so that it never continues one whose last record a kill has torn. Readers take a
file up to its first short record, and so do we when we ask which values are there.
Tests: tests/tracking/trackers/test_tensorboard.py.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.text import metadata as text_plugin
from tensorboard.summary.writer.record_writer import RecordWriter
from typing_extensions import override

from composer.spec.run_files import open_to_write, read_bytes, write_at
from composer.tracking.points import PARENT, Point
from composer.tracking.stored_runs import NOTE
from composer.tracking.trackers.run_cards import Part, RunCard, RunFolder

FILES: Final = "events.out.tfevents.*"
VERSION: Final = "brain.Event:2"
PICTURES: Final = "pictures"
TEXTS: Final = {".txt": "", ".toml": "toml"}
"""Suffixes of the files that are shown as text, with their language in Markdown."""
MEAN: Final = "mean"
"""The folder of what is no seed's: means over seeds, speed, pictures, texts."""
RGB: Final = 3
AGENT: Final = 100
"""Most characters of the folder of an agent."""


class TensorboardStore(RunFolder):
    """A folder of event files for each part of a run."""

    def __init__(self, destination: Any) -> None:
        super().__init__(destination)
        self._parts: dict[Part, PartFiles] = {}

    def files(self, part: Part) -> PartFiles:
        """The event files of a part."""
        if part not in self._parts:
            name = MEAN if part.role == PARENT else f"seed-{part.role}" if part.role.isdigit() else part.role
            # TensorBoard names runs by their folders, and people compare agents.
            agent = re.sub(r"[^\w @.,=\[\]#+-]", "_", self.card(part).texts[1])[:AGENT].strip(". ")
            self._parts[part] = PartFiles(self.folder / part.experiment / agent / part.run / name)
        return self._parts[part]

    @override
    def has_files(self, part: Part) -> bool:
        return any(self.files(part).folder.glob(FILES))

    @override
    def begin(self, part: Part, card: RunCard) -> None:
        tags = card.tags[part.role]
        known = {name: text for name, text in tags.items() if not name.startswith(("mlflow.", "composer."))}
        self.files(part).add_text("tags", _table(known), card.started)
        if part.role == PARENT and NOTE in tags:  # Those of seeds are links in MLflow.
            self.files(part).add_text("description", tags[NOTE], card.started)

    @override
    def log_parameters(self, run_id: str, parameters: Any) -> None:
        super().log_parameters(run_id, parameters)
        part = Part.of(run_id)
        if part.role == PARENT:
            card = self.card(part)
            self.files(part).add_text("parameters", _table(card.parameters), card.started)

    @override
    def log_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        if path.suffix in TEXTS:
            text = read_bytes(path).decode("utf-8", "replace")
            fence = "`" * (3 + text.count("```"))
            self.files(Part.of(run_id)).add_text(
                path.stem, f"{fence}{TEXTS[path.suffix]}\n{text}\n{fence}", int(path.stat().st_mtime * 1000)
            )

    @override
    def log_picture(self, run_id: str, content: bytes, key: str, step: int) -> None:
        self.files(Part.of(run_id)).write_picture(f"{PICTURES}/{key}", content, step)

    @override
    def pictures(self, run_id: str) -> set[tuple[str, int]]:
        found = self.files(Part.of(run_id)).steps()
        return {(name.partition("/")[2], step) for name in found if name.startswith(PICTURES) for step in found[name]}

    @override
    def log_points(self, run_id: str, points: Sequence[tuple[Point, int]]) -> None:
        events = []
        for (step, moment), group in groupby(points, lambda each: (each[0].step, each[1])):
            values = [summary_pb2.Summary.Value(tag=point.name, simple_value=point.value) for point, _ in group]
            events.append(_event(step, moment, *values))
        self.files(Part.of(run_id)).append(events)

    @override
    def steps(self, run_id: str, name: str) -> set[int]:
        return self.files(Part.of(run_id)).steps().get(name, set())

    @override
    def close(self) -> None:
        for each in self._parts.values():
            each.close()


class PartFiles:
    """The event files in one folder; what is added goes to a new one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: int | None = None
        self._size = 0
        self._steps: dict[str, set[int]] | None = None
        self._texts: dict[str, str] = {}
        """The newest text of each tag."""
        self._pictures: set[tuple[str, int, bytes]] = set()
        """Tag, step and digest of each picture."""

    def steps(self) -> dict[str, set[int]]:
        """Steps by tag of what earlier uploaders wrote, and of pictures and texts of this one."""
        if self._steps is None:
            self._steps = {}
            for event in self._read():
                for value in event.summary.value:
                    self._steps.setdefault(value.tag, set()).add(event.step)
                    if value.metadata.plugin_data.plugin_name == text_plugin.PLUGIN_NAME:
                        self._texts[value.tag] = value.tensor.string_val[0].decode()
                    if value.HasField("image"):
                        digest = sha256(value.image.encoded_image_string).digest()
                        self._pictures.add((value.tag, event.step, digest))
        return self._steps

    def append(self, events: Sequence[Any]) -> None:
        """Add events; they survive a kill once this has returned. Raises OSError."""
        records = BytesIO()
        writer: Any = RecordWriter(records)
        if self._file is None:
            self._open()
            writer.write(event_pb2.Event(wall_time=time.time(), file_version=VERSION).SerializeToString())
        for event in events:
            writer.write(event.SerializeToString())
        assert self._file is not None
        try:
            write_at(self._file, records.getvalue(), self._size)
        except BaseException:
            self.close()  # It may end in half a record: what follows goes to another file.
            raise
        self._size += records.tell()

    def add_text(self, tag: str, text: str, moment: int) -> None:
        """Show a text in Markdown, unless it is shown already; ``moment`` in milliseconds since the epoch."""
        self.steps()
        if self._texts.get(tag) == text:
            return
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
        untyped: Any = text_plugin
        metadata = untyped.create_summary_metadata(display_name=tag, description="")
        self.append([_event(0, moment, summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor))])
        self._texts[tag] = text

    def write_picture(self, tag: str, content: bytes, step: int) -> None:
        """Show a PNG, unless it is shown already under this tag at this step.

        Step 0 has the newest picture in MLflow. TensorBoard would show the older ones there too, and has a slider that
        opens at the last step: it gets step 0 of those pictures alone that have no other.
        """
        from PIL import Image

        known = self.steps().setdefault(tag, set())
        shown = tag, step, sha256(content).digest()
        if shown in self._pictures or (step == 0 and known - {0}):
            return
        with Image.open(BytesIO(content), formats=["PNG"]) as picture:
            width, height = picture.size
        image = summary_pb2.Summary.Image(height=height, width=width, colorspace=RGB, encoded_image_string=content)
        self.append([_event(step, int(time.time() * 1000), summary_pb2.Summary.Value(tag=tag, image=image))])
        known.add(step)
        self._pictures.add(shown)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        """Make a file whose name sorts after the earlier ones: TensorBoard reads them in this order."""
        self.folder.mkdir(parents=True, exist_ok=True)
        newest = max((_number(path) for path in self.folder.glob(FILES)), default=0)
        number = max(int(time.time()), newest + 1)
        name = f"{FILES[:-1]}{number:010d}.{platform.node()}.{os.getpid()}.0"
        self._file, self._size = open_to_write(self.folder / name, os.O_EXCL), 0

    def _read(self) -> Iterator[Any]:
        for path in sorted(self.folder.glob(FILES)):
            untyped: Any = RawEventFileLoader
            for record in untyped(str(path)).Load():
                yield event_pb2.Event.FromString(record)


def _number(path: Path) -> int:
    text = path.name.removeprefix(FILES[:-1]).partition(".")[0]
    return int(text) if text.isdigit() else 0


def _event(step: int, moment: int, *values: Any) -> Any:
    return event_pb2.Event(wall_time=moment / 1000, step=step, summary=summary_pb2.Summary(value=values))


def _table(texts: Any) -> str:
    """A table in Markdown."""
    rows = [f"| {name} | {' '.join(str(text).replace('|', chr(92) + '|').split())} |" for name, text in texts.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
