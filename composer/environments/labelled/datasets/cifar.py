"""CIFAR-10 and CIFAR-100 from a local folder, in their published binary layout.

Tests: tests/environments/test_datasets.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, DataUnusable, Samples
from composer.environments.labelled.datasets.files import (
    Checksums,
    Folder,
    file_of,
    folder_of,
    labels_in_range,
    records_of,
)
from composer.environments.labelled.datasets.published import Published
from composer.spec.wording import suggestion

SIDE = 32
PIXELS = 3 * SIDE * SIDE


class Layout(NamedTuple):
    """The files of one version: names and sizes."""

    learned: tuple[str, ...]
    held_out: tuple[str, ...]
    records: int
    """In each training file."""
    held_out_records: int
    label_bytes: int
    """Before the pixels of a record; the last one is the class."""
    archive: str
    """Name of the published archive."""
    pickled: tuple[str, ...]
    """Files of the Python version, which is refused."""


LAYOUTS: dict[int, Layout] = {
    10: Layout(
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        10_000,
        10_000,
        1,
        "cifar-10-binary.tar.gz",
        ("data_batch_1", "test_batch"),
    ),
    100: Layout(
        ("train.bin",), ("test.bin",), 50_000, 10_000, 2, "cifar-100-binary.tar.gz", ("train", "test")
    ),
}  # fmt: skip


class Cifar(Data, kind="cifar"):
    """CIFAR-10 or CIFAR-100: colour photographs of 32 x 32, 50,000 for training and 10,000 held out.

    Read from the binary version: records of one label byte (CIFAR-100: a coarse one and a fine one) and 3,072 bytes of
    pixels, red, green, blue, row by row. The version for Python is pickled, and unpickling runs code: it is refused.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "CIFAR-10",
            "cifar-10-batches-bin",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c32a1d4ab5d03f1284b67883e8d87530",
            {"labels": 10},
        ),
        Published(
            "CIFAR-100",
            "cifar-100-binary",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            168_513_733,
            "03b5dce01913d631647c71ecec9e9cb8",
            {"labels": 100},
        ),
    )
    example: ClassVar[Mapping[str, Any]] = {"kind": "cifar", "folder": "data/cifar-10-batches-bin"}

    folder: Folder
    """The folder of the binary files."""
    labels: Literal[10, 100] = 10
    """Number of classes: CIFAR-10 or CIFAR-100."""
    sha256: Checksums = Field(default={}, max_length=100)
    """SHA-256 of files by name, checked where given; sizes and labels are always checked."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.sha256:
            if name not in self.files:
                hint = suggestion(name, self.files)
                raise PydanticCustomError("cifar_file", "'sha256': no file {name}{hint}", {"name": name, "hint": hint})
        return self

    @property
    @override
    def files(self) -> tuple[str, ...]:
        return (*self._layout.learned, *self._layout.held_out)

    @property
    @override
    def place(self) -> Path:
        return Path(self.folder)

    @property
    @override
    def info(self) -> DataInfo:
        layout = self._layout
        size = len(layout.learned) * layout.records
        return DataInfo((3, SIDE, SIDE), self.labels, size, layout.held_out_records)

    @override
    def load(self, seed: int) -> Samples:
        """The same for every seed, in the order of the files. Raises DataUnusable."""
        return self._read(self._layout.learned, self._layout.records)

    @override
    def load_held_out(self, seed: int) -> Samples:
        """The published test set. Raises DataUnusable."""
        return self._read(self._layout.held_out, self._layout.held_out_records)

    @property
    def _layout(self) -> Layout:
        return LAYOUTS[self.labels]

    def _read(self, names: Sequence[str], records: int) -> Samples:
        import numpy as np

        layout = self._layout
        meant = f"the unpacked {layout.archive} (CIFAR-{self.labels}, binary version) is meant"
        folder = folder_of(self.folder, meant)
        if not (folder / names[0]).is_file() and any((folder / name).is_file() for name in layout.pickled):
            raise DataUnusable(f"{folder.absolute()} holds the pickled version, and unpickling runs code; {meant}")
        inputs, labels = [], []
        for name in names:
            path = file_of(folder, name, meant)
            rows = records_of(path, records, layout.label_bytes + PIXELS, self.sha256)
            labels.append(labels_in_range(path, rows[:, layout.label_bytes - 1], self.labels))
            inputs.append(rows[:, layout.label_bytes :])
        return Samples(np.concatenate(inputs).reshape(-1, *self.info.shape), np.concatenate(labels))
