"""Tiny ImageNet from a local folder, in its published layout. Tests: tests/environments/test_datasets.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from composer.environments.labelled.datasets.base import Data, DataInfo, DataUnusable, Samples
from composer.environments.labelled.datasets.files import Folder, file_of, folder_of
from composer.environments.labelled.datasets.published import Published

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES, EACH, HELD_OUT, SIDE = 200, 500, 10_000, 64
MEANT = "the unpacked tiny-imagenet-200.zip is meant"


class TinyImageNet(Data, kind="tiny_imagenet"):
    """Tiny ImageNet: photographs of 64 x 64 in 200 classes, 500 of each for training and 10,000 held out.

    JPEG files as published: ``train/CLASS/images/*.JPEG``, ``val/images/*.JPEG`` with ``val/val_annotations.txt``,
    classes in ``wnids.txt``; classes are numbered in alphabetical order. Grey photographs become three equal channels.
    Files are decoded at every start, and nothing is written. Source: Stanford CS231n, Tiny ImageNet challenge.
    """

    libraries: ClassVar[tuple[str, ...]] = ("PIL",)
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Tiny ImageNet",
            "tiny-imagenet-200",
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            248_100_043,
            "90528d7ca1a48142e341f4ef8d21d0de",
        ),
    )
    example: ClassVar[Mapping[str, Any]] = {"kind": "tiny_imagenet", "folder": "data/tiny-imagenet-200"}

    folder: Folder
    """The folder of ``wnids.txt``, ``train`` and ``val``."""

    @property
    @override
    def place(self) -> Path:
        return Path(self.folder)

    @property
    @override
    def info(self) -> DataInfo:
        return DataInfo((3, SIDE, SIDE), CLASSES, CLASSES * EACH, HELD_OUT)

    def load(self, seed: int) -> Samples:
        """The same for every seed, class by class. Raises DataUnusable."""
        folder = folder_of(self.folder, MEANT)
        return self._decoded(folder / "train", _learned(folder), self.info.size)

    def load_held_out(self, seed: int) -> Samples:
        """The validation set, in the order of its annotations. Raises DataUnusable."""
        folder = folder_of(self.folder, MEANT)
        return self._decoded(folder / "val", list(_annotated(folder)), self.info.held_out)

    @override
    def verify(self) -> None:
        """Counts all pictures and decodes one in 500, which takes seconds where all take a minute."""
        folder = folder_of(self.folder, MEANT)
        parts = ("train", _learned(folder), self.info.size), ("val", list(_annotated(folder)), self.info.held_out)
        for part, found, wanted in parts:
            _count(folder / part, found, wanted)
            for path, _ in found[::EACH]:
                _picture(path)

    def _decoded(self, where: Path, found: Sequence[tuple[Path, int]], wanted: int) -> Samples:
        import numpy as np

        _count(where, found, wanted)
        inputs = np.empty((wanted, *self.info.shape), np.uint8)
        for row, (path, _) in zip(inputs, found, strict=True):
            row[:] = _picture(path)
        return Samples(inputs, np.array([number for _, number in found], np.int64))


def _count(where: Path, found: Sequence[tuple[Path, int]], wanted: int) -> None:
    if len(found) != wanted:
        raise DataUnusable(f"{where.absolute()} holds {len(found):,} pictures instead of {wanted:,}; {MEANT}")


def _learned(folder: Path) -> list[tuple[Path, int]]:
    """The training pictures with their classes."""
    return [
        (path, number)
        for number, name in enumerate(_classes(folder))
        for path in _pictures(folder / "train" / name / "images")
    ]


def _classes(folder: Path) -> list[str]:
    path = file_of(folder, "wnids.txt", MEANT)
    names = sorted(path.read_text(encoding="ascii", errors="replace").split())
    if len(set(names)) != CLASSES:
        raise DataUnusable(f"{path} names {len(set(names))} classes instead of {CLASSES}; {MEANT}")
    return names


def _pictures(folder: Path) -> list[Path]:
    return sorted(folder_of(str(folder), MEANT).glob("*.JPEG"))


def _annotated(folder: Path) -> Iterator[tuple[Path, int]]:
    number = {name: index for index, name in enumerate(_classes(folder))}
    path = file_of(folder_of(str(folder / "val"), MEANT), "val_annotations.txt", MEANT)
    pictures = folder_of(str(folder / "val" / "images"), MEANT)
    for row, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), 1):
        name, known, *_ = (*line.split("\t"), "")
        if known not in number:
            raise DataUnusable(f"{path}:{row}: {known!r} is no class of wnids.txt")
        yield pictures / Path(name).name, number[known]


def _picture(path: Path) -> NDArray[np.uint8]:
    """``[3, 64, 64]``."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            if picture.size != (SIDE, SIDE):
                raise DataUnusable(f"{path} is {picture.size[0]} x {picture.size[1]} pixels instead of {SIDE} x {SIDE}")
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except (OSError, UnidentifiedImageError) as error:
        raise DataUnusable(f"{path} cannot be read as a JPEG: {error}") from error
